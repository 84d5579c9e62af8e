// marathon_sd_configs (FEATURES 2.19). Source: prometheus discovery/marathon.
import { duration, field, filePath, list, secret, text } from '../schema.ts'
import { checkHttpClient, discoverySection, optionsWithHttp, withHttp } from './kind.ts'

export const marathonDiscovery = discoverySection(
  'marathon',
  'marathon.plain',
  withHttp(
    {
      servers: field(list(text())),
      refresh_interval: field(duration(), 30_000),
      auth_token: field(secret()),
      auth_token_file: field(filePath()),
    },
    {},
  ),
  (value, report) => {
    if (value.servers.length === 0) report('servers', 'marathon_sd: must contain at least one Marathon server')
    const hasToken = !value.auth_token.isEmpty
    const hasFile = value.auth_token_file !== ''
    if (hasToken && hasFile) report('auth_token', 'marathon_sd: at most one of auth_token & auth_token_file must be configured')
    if (hasToken || hasFile) {
      if (value.basic_auth !== null) {
        report('basic_auth', 'marathon_sd: at most one of basic_auth, auth_token & auth_token_file must be configured')
      } else if (!value.bearer_token.isEmpty || value.bearer_token_file !== '') {
        report(null, 'marathon_sd: at most one of bearer_token, bearer_token_file, auth_token & auth_token_file must be configured')
      } else if (value.authorization !== null) {
        report('authorization', 'marathon_sd: at most one of auth_token, auth_token_file & authorization must be configured')
      }
    }
    return checkHttpClient(value, report)
  },
  (value) => ({ kind: 'marathon', ...optionsWithHttp(value) }),
)
