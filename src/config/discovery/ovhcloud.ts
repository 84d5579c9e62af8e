// ovhcloud_sd_configs (FEATURES 2.29). Source: prometheus discovery/ovhcloud.
import type { OvhcloudDiscovery } from '../../discovery/options.ts'
import { always, duration, secret, text } from '../schema.ts'
import { discoverySection, options } from './kind.ts'

export const ovhcloudDiscovery = discoverySection(
  'ovhcloud',
  'ovhcloud.plain',
  {
    endpoint: always(text(), 'ovh-eu'),
    application_key: always(text()),
    application_secret: always(secret()),
    consumer_key: always(secret()),
    refresh_interval: always(duration(), 60_000),
    service: always(text()),
  },
  (value, report) => {
    if (value.endpoint === '') report('endpoint', 'endpoint can not be empty')
    if (value.application_key === '') report('application_key', 'application key can not be empty')
    if (value.application_secret.isEmpty) report('application_secret', 'application secret can not be empty')
    if (value.consumer_key.isEmpty) report('consumer_key', 'consumer key can not be empty')
    if (value.service !== 'dedicated_server' && value.service !== 'vps') report('service', `unknown service: ${value.service}`)
  },
  (value) => ({ kind: 'ovhcloud', ...options(value), service: value.service as OvhcloudDiscovery['service'] }),
)
