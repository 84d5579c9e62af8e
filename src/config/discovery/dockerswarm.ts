// dockerswarm_sd_configs (FEATURES 2.12). Source: prometheus discovery/moby.
import type { DockerSwarmDiscovery } from '../../discovery/options.ts'
import { always, duration, int, list, text } from '../schema.ts'
import { parseGoUrl } from '../url.ts'
import { checkHttpClient, discoverySection, nameValues, optionsWithHttp, withHttp } from './kind.ts'

export const dockerSwarmDiscovery = discoverySection(
  'dockerswarm',
  'moby.plain',
  withHttp(
    {},
    {
      host: always(text()),
      role: always(text()),
      port: always(int(), 80),
      filters: always(list(nameValues('moby.Filter'), '[]moby.Filter')),
      refresh_interval: always(duration(), 60_000),
    },
  ),
  (value, report) => {
    const { problem } = parseGoUrl(value.host)
    if (value.host === '') report('host', 'host missing')
    else if (problem !== null) report('host', problem)
    if (value.role === '') report('role', 'role missing (one of: tasks, services, nodes)')
    else if (!['services', 'nodes', 'tasks'].includes(value.role)) {
      report('role', `invalid role ${value.role}, expected tasks, services, or nodes`)
    }
    return checkHttpClient(value, report)
  },
  (value) => ({ kind: 'dockerswarm', ...optionsWithHttp(value), role: value.role as DockerSwarmDiscovery['role'] }),
)
