// serverset_sd_configs and nerve_sd_configs (FEATURES 2.18). Source: prometheus discovery/zookeeper.
import { always, duration, field, list, text } from '../schema.ts'
import type { Report } from '../schema.ts'
import { discoverySection, options } from './kind.ts'

const fields = { servers: always(list(text())), paths: always(list(text())), timeout: field(duration(), 10_000) }

function check(kind: string) {
  return (value: { servers: readonly string[]; paths: readonly string[] }, report: Report): void => {
    if (value.servers.length === 0) report('servers', `${kind} SD config must contain at least one Zookeeper server`)
    if (value.paths.length === 0) report('paths', `${kind} SD config must contain at least one path`)
    const odd = value.paths.find((path) => !path.startsWith('/'))
    if (odd !== undefined) report('paths', `${kind} SD config paths must begin with '/': ${odd}`)
  }
}

export const serversetDiscovery = discoverySection('serverset', 'zookeeper.plain', fields, check('serverset'), (value) => ({
  kind: 'serverset',
  ...options(value),
}))
export const nerveDiscovery = discoverySection('nerve', 'zookeeper.plain', fields, check('nerve'), (value) => ({
  kind: 'nerve',
  ...options(value),
}))
