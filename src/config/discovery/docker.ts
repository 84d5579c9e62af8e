// docker_sd_configs (FEATURES 2.10). Source: prometheus discovery/moby.
import { always, bool, duration, int, list, text } from '../schema.ts'
import { parseGoUrl } from '../url.ts'
import { checkHttpClient, discoverySection, nameValues, optionsWithHttp, withHttp } from './kind.ts'

export const dockerDiscovery = discoverySection(
  'docker',
  'moby.plain',
  withHttp(
    {},
    {
      host: always(text()),
      port: always(int(), 80),
      filters: always(list(nameValues('moby.Filter'), '[]moby.Filter')),
      host_networking_host: always(text(), 'localhost'),
      refresh_interval: always(duration(), 60_000),
      match_first_network: always(bool(), true),
    },
  ),
  (value, report) => {
    const { problem } = parseGoUrl(value.host)
    if (value.host === '') report('host', 'host missing')
    else if (problem !== null) report('host', problem)
    return checkHttpClient(value, report)
  },
  (value) => ({ kind: 'docker', ...optionsWithHttp(value) }),
)
