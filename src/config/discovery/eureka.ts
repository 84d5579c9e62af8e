// eureka_sd_configs (FEATURES 2.17). Source: prometheus discovery/eureka.
import { duration, field, text } from '../schema.ts'
import { parseGoUrl } from '../url.ts'
import { checkHttpClient, discoverySection, optionsWithHttp, withHttp } from './kind.ts'

export const eurekaDiscovery = discoverySection(
  'eureka',
  'eureka.plain',
  withHttp({ server: field(text()) }, { refresh_interval: field(duration(), 30_000) }),
  (value, report) => {
    const { problem, scheme, host } = parseGoUrl(value.server)
    if (value.server === '') report('server', 'eureka_sd: empty or null eureka server')
    else if (problem !== null) report('server', problem)
    else if (scheme === '' || host === '') report('server', 'eureka_sd: invalid eureka server URL')
    return checkHttpClient(value, report)
  },
  (value) => ({ kind: 'eureka', ...optionsWithHttp(value) }),
)
