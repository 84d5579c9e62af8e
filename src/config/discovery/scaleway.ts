// scaleway_sd_configs (FEATURES 2.30). Source: prometheus discovery/scaleway, and the checks of Scaleway's client.
import type { ScalewayDiscovery } from '../../discovery/options.ts'
import { quote } from '../../model/labels.ts'
import { always, duration, field, filePath, int, list, oneOf, secret, text } from '../schema.ts'
import { checkHttpClient, discoverySection, optionsWithHttp, withHttp } from './kind.ts'

const role = oneOf(['instance', 'baremetal'], (name) => `unknown role ${quote(name)}`)
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
const aUuid = 'expected a UUID: xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx'

export const scalewayDiscovery = discoverySection(
  'scaleway',
  'scaleway.plain',
  withHttp(
    {
      project_id: always(text()),
      api_url: field(text(), 'https://api.scaleway.com'),
      zone: always(text(), 'fr-par-1'),
      access_key: always(text()),
      secret_key: always(secret()),
      secret_key_file: always(filePath()),
      name_filter: field(text()),
      tags_filter: field(list(text())),
    },
    { refresh_interval: always(duration(), 60_000), port: always(int(), 80), role: always(role) },
  ),
  (value, report) => {
    if (value.role === '') report('role', 'role missing (one of: instance, baremetal)')
    if (value.project_id === '') report('project_id', 'project_id is mandatory')
    else if (!uuid.test(value.project_id))
      report('project_id', `scaleway-sdk-go: invalid project ID format '${value.project_id}', ${aUuid}`)
    if (value.access_key === '') report('access_key', 'access_key is mandatory')
    else if (!/^SCW[A-Z0-9]{17}$/.test(value.access_key)) {
      report('access_key', `scaleway-sdk-go: invalid access key format '${value.access_key}', expected SCWXXXXXXXXXXXXXXXXX format`)
    }
    if (value.secret_key.isEmpty && value.secret_key_file === '') {
      report('secret_key', 'one of secret_key & secret_key_file must be configured')
    } else if (!value.secret_key.isEmpty && value.secret_key_file !== '') {
      report('secret_key', 'at most one of secret_key & secret_key_file must be configured')
    } else if (!value.secret_key.isEmpty && !uuid.test(value.secret_key.reveal())) {
      report('secret_key', `scaleway-sdk-go: invalid secret key format, ${aUuid}`)
    }
    if (!/^[a-z]{2}-[a-z]{3,7}-[0-9]{1,2}$/.test(value.zone)) report('zone', `scaleway-sdk-go: invalid default zone format '${value.zone}'`)
    return checkHttpClient(value, report)
  },
  (value) => ({ kind: 'scaleway', ...optionsWithHttp(value), role: value.role as ScalewayDiscovery['role'] }),
)
