// gce_sd_configs (FEATURES 2.13). Source: prometheus discovery/gce.
import { always, duration, field, int, text } from '../schema.ts'
import { discoverySection, options } from './kind.ts'

export const gceDiscovery = discoverySection(
  'gce',
  'gce.plain',
  {
    project: always(text()),
    zone: always(text()),
    filter: field(text()),
    refresh_interval: field(duration(), 60_000),
    port: always(int(), 80),
    tag_separator: field(text(), ','),
  },
  (value, report) => {
    if (value.project === '') report('project', 'GCE SD configuration requires a project')
    if (value.zone === '') report('zone', 'GCE SD configuration requires a zone')
  },
  (value) => ({ kind: 'gce', ...options(value) }),
)
