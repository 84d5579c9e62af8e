// Runs the discovery sections of a configuration. Sections that are the same are run once, whoever asks; a reload leaves those that stay untouched.
//
//   sections of a set (a scrape job, an alertmanager entry) ─▶ providers ─▶ groups by source ─▶ at most every `updateIntervalMs` ─▶ onGroups(set, all its groups)
import { sameValue } from '../base/secret.ts'
import { PromhiveError } from '../base/errors.ts'
import type { TargetGroup } from '../model/target-group.ts'
import type { Timer } from '../ports/clock.ts'
import { dnsDiscovery } from './dns.ts'
import { fileDiscovery } from './file.ts'
import { httpDiscovery } from './http.ts'
import type { DiscoveryPorts, Mechanism } from './mechanism.ts'
import type { DiscoveryConfig } from './options.ts'
import { staticDiscovery } from './static.ts'

/** Mechanisms this build can run; the configuration is checked for the others before it is applied. */
export const supportedDiscovery = ['static', 'file', 'http', 'dns'] as const

type Provider = {
  readonly config: DiscoveryConfig
  readonly mechanism: Mechanism
  readonly groups: Map<string, TargetGroup>
  sets: Set<string>
  readonly number: number
}

export class DiscoveryManager {
  readonly #name: string
  readonly #ports: DiscoveryPorts
  readonly #updateIntervalMs: number
  readonly #onGroups: (set: string, groups: readonly TargetGroup[]) => void
  #providers: Provider[] = []
  #numbers = 0
  #sets = new Set<string>()
  readonly #dirty = new Set<string>()
  #timer: Timer | null = null
  #lastSent = -Infinity

  /** @param name `scrape` or `notify`, for the metrics. */
  constructor(
    name: string,
    ports: DiscoveryPorts,
    updateIntervalMs: number,
    onGroups: (set: string, groups: readonly TargetGroup[]) => void,
  ) {
    this.#name = name
    this.#ports = ports
    this.#updateIntervalMs = updateIntervalMs
    this.#onGroups = onGroups
  }

  /** Makes these the sets that are discovered. Sets that are new get their groups at once if their providers already run. */
  apply(sets: ReadonlyMap<string, readonly DiscoveryConfig[]>): void {
    const before = this.#providers
    const next: Provider[] = []
    const fresh: Provider[] = []
    for (const [set, configs] of sets) {
      for (const config of configs) {
        let provider = next.find((p) => sameValue(p.config, config))
        if (provider === undefined) {
          const kept = before.find((p) => sameValue(p.config, config))
          provider = kept ?? {
            config,
            mechanism: this.#mechanism(config, set),
            groups: new Map(),
            sets: new Set(),
            number: this.#numbers++,
          }
          if (kept === undefined) fresh.push(provider)
          else provider.sets = new Set()
          next.push(provider)
        }
        provider.sets.add(set)
      }
    }
    this.#ports.metrics.failedConfigs.labels(this.#name).set(0)
    this.#providers = next
    for (const gone of before) if (!next.includes(gone)) gone.mechanism.stop()
    for (const set of this.#sets) if (!sets.has(set)) this.#ports.metrics.discoveredTargets.remove(this.#name, set)
    this.#sets = new Set(sets.keys())
    for (const set of sets.keys()) this.#dirty.add(set)
    for (const provider of fresh) {
      provider.mechanism.start((groups) => {
        this.#ports.metrics.receivedUpdates.labels(this.#name).inc()
        for (const group of groups) {
          if (group.targets.length === 0) provider.groups.delete(group.source)
          else provider.groups.set(group.source, group)
        }
        for (const set of provider.sets) this.#dirty.add(set)
        this.#schedule()
      })
    }
    this.#timer?.cancel()
    this.#timer = null
    this.#send()
  }

  stop(): void {
    this.#timer?.cancel()
    for (const provider of this.#providers) provider.mechanism.stop()
    this.#providers = []
  }

  #mechanism(config: DiscoveryConfig, set: string): Mechanism {
    switch (config.kind) {
      case 'static':
        return staticDiscovery(config)
      case 'file':
        return fileDiscovery(config, this.#ports)
      case 'http':
        return httpDiscovery(config, set, this.#ports)
      case 'dns':
        return dnsDiscovery(config, set, this.#ports)
      default:
        throw new PromhiveError(
          'CONFIG_INVALID',
          `cannot discover targets by ${config.kind}_sd_configs: this version does not support it yet`,
        )
    }
  }

  #schedule(): void {
    if (this.#timer !== null) {
      this.#ports.metrics.updatesDelayed.labels(this.#name).inc()
      return
    }
    const wait = Math.max(0, this.#lastSent + this.#updateIntervalMs - this.#ports.clock.monotonicMs())
    this.#timer = this.#ports.clock.after(wait, () => {
      this.#timer = null
      this.#send()
    })
  }

  #send(): void {
    if (this.#dirty.size === 0) return
    this.#lastSent = this.#ports.clock.monotonicMs()
    const dirty = [...this.#dirty]
    this.#dirty.clear()
    const { metrics, clock } = this.#ports
    metrics.updates.labels(this.#name).inc()
    metrics.lastUpdate.labels(this.#name).set(clock.nowMs() / 1000)
    for (const set of dirty) {
      const groups: TargetGroup[] = []
      let targets = 0
      for (const provider of this.#providers) {
        if (!provider.sets.has(set)) continue
        for (const group of provider.groups.values()) {
          groups.push({ ...group, source: `${provider.config.kind}/${provider.number}/${group.source}` })
          targets += group.targets.length
        }
      }
      metrics.discoveredTargets.labels(this.#name, set).set(targets)
      this.#onGroups(set, groups)
    }
  }
}
