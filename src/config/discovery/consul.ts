// consul_sd_configs (FEATURES 2.09). Source: prometheus discovery/consul.
import { always, bool, duration, field, list, map, secret, text } from '../schema.ts'
import { checkHttpClient, discoverySection, optionsWithHttp, withHttp } from './kind.ts'

export const consulDiscovery = discoverySection(
  'consul',
  'consul.plain',
  withHttp(
    {
      server: field(text(), 'localhost:8500'),
      path_prefix: field(text()),
      token: field(secret()),
      datacenter: field(text()),
      namespace: field(text()),
      partition: field(text()),
      tag_separator: field(text(), ','),
      scheme: field(text(), 'http'),
      username: field(text()),
      password: field(secret()),
      allow_stale: always(bool(), true),
      refresh_interval: field(duration(), 30_000),
      services: field(list(text())),
      tags: field(list(text())),
      node_meta: field(map(text())),
      filter: field(text()),
      health_filter: field(text()),
    },
    {},
  ),
  (written, report) => {
    let value = written
    if (value.server.trim() === '') report('server', 'consul SD configuration requires a server address')
    if (value.username !== '' || !value.password.isEmpty) {
      if (value.basic_auth !== null) {
        report('basic_auth', 'at most one of consul SD configuration username and password and basic auth can be configured')
      } else {
        const { username, password } = value
        value = { ...value, basic_auth: { username, username_file: '', username_ref: '', password, password_file: '', password_ref: '' } }
      }
    }
    if (!value.token.isEmpty && (value.authorization !== null || value.oauth2 !== null)) {
      report('token', 'at most one of consul SD token, authorization, or oauth2 can be configured')
    }
    return checkHttpClient(value, report)
  },
  (value) => ({ kind: 'consul', ...optionsWithHttp(value) }),
)
