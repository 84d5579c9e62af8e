// What every discovery mechanism is: something that, once started, hands over target groups until it is stopped.
import type { Logger } from '../base/logger.ts'
import type { TargetGroup } from '../model/target-group.ts'
import type { Clock } from '../ports/clock.ts'
import type { Disk } from '../ports/disk.ts'
import type { Http } from '../ports/http.ts'
import type { Resolver } from '../ports/resolver.ts'
import type { Watcher } from '../ports/watcher.ts'
import type { DiscoveryMetrics } from './metrics.ts'

export interface Mechanism {
  /** Changed groups; one with the source of an earlier one replaces it, an empty one removes it. */
  start(emit: (groups: readonly TargetGroup[]) => void): void
  stop(): void
}

export type DiscoveryPorts = Readonly<{
  clock: Clock
  disk: Disk
  http: Http
  resolver: Resolver
  watcher: Watcher
  log: Logger
  metrics: DiscoveryMetrics
  userAgent: string
}>
