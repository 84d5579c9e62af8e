// http_sd_configs (FEATURES 2.06). Source: prometheus discovery/http.
import { always, duration, field, text } from '../schema.ts'
import { parseGoUrl } from '../url.ts'
import { checkHttpClient, discoverySection, optionsWithHttp, withHttp } from './kind.ts'

export const httpDiscovery = discoverySection(
  'http',
  'http.plain',
  withHttp({}, { refresh_interval: field(duration(), 60_000), url: always(text()) }),
  (value, report) => {
    checkWebUrl(value.url, (message) => report('url', message))
    return checkHttpClient(value, report)
  },
  (value) => ({ kind: 'http', ...optionsWithHttp(value) }),
)

/** A URL that must be there, be http or https, and name a host. */
export function checkWebUrl(text: string, report: (message: string) => void): void {
  const { problem, scheme, host } = parseGoUrl(text)
  if (text === '') report('URL is missing')
  else if (problem !== null) report(problem)
  else if (scheme !== 'http' && scheme !== 'https') report("URL scheme must be 'http' or 'https'")
  else if (host === '') report('host is missing in URL')
}
