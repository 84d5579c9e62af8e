// uyuni_sd_configs (FEATURES 2.33). Source: prometheus discovery/uyuni.
import { always, duration, field, secret, text } from '../schema.ts'
import { parseGoUrl } from '../url.ts'
import { checkHttpClient, discoverySection, optionsWithHttp, withHttp } from './kind.ts'

export const uyuniDiscovery = discoverySection(
  'uyuni',
  'uyuni.plain',
  withHttp(
    { server: always(text()), username: always(text()), password: always(secret()) },
    { entitlement: field(text(), 'monitoring_entitled'), separator: field(text(), ','), refresh_interval: field(duration(), 60_000) },
  ),
  (value, report) => {
    const { problem } = parseGoUrl(value.server)
    if (value.server === '') report('server', 'Uyuni SD configuration requires server host')
    else if (problem !== null) report('server', `Uyuni Server URL is not valid: ${problem}`)
    if (value.username === '') report('username', 'Uyuni SD configuration requires a username')
    if (value.password.isEmpty) report('password', 'Uyuni SD configuration requires a password')
    return checkHttpClient(value, report)
  },
  (value) => ({ kind: 'uyuni', ...optionsWithHttp(value) }),
)
