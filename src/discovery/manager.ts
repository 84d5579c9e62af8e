// Runs the discovery sections of a configuration. Sections that are the same are run once, whoever asks; a reload leaves those that stay untouched.
//
//   sections of a set (a scrape job, an alertmanager entry) ─▶ providers ─▶ groups by source ─▶ at most every `updateIntervalMs` ─▶ onGroups(set, all its groups)
import { sameValue } from '../base/secret.ts'
import { messageOf, PromhiveError } from '../base/errors.ts'
import { labelsEqual } from '../model/labels.ts'
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
  /** The set it was made for, as its metrics are labelled. */
  readonly firstSet: string
  /** By the mechanism's source; the groups carry one that is unique over all providers, and stay the same object until they change. */
  readonly groups: Map<string, TargetGroup>
  /** Groups of the provider this one takes the place of, until it has some of its own. */
  inherited: readonly TargetGroup[] | null
  heirUntil: Timer | null
  sets: Set<string>
  readonly number: number
}

/** Waits between updates grow from this to the manager's interval while updates keep coming. */
const firstWaitMs = 100
const waitGrowth = 1.5

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
  #waitMs = firstWaitMs
  /** Everything goes out at the end of `apply`. */
  #applying = false

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
    const { metrics } = ports
    metrics.failedConfigs.labels(name)
    for (const counter of [metrics.receivedUpdates, metrics.updates, metrics.updatesDelayed]) counter.labels(name)
  }

  /**
   * Makes these the sets that are discovered, and hands all of them what is known at once. A section that takes the place of a changed one of its kind
   * goes on with the old one's groups until it has found its own, at most one update interval: new secrets must not end every series.
   */
  apply(sets: ReadonlyMap<string, readonly DiscoveryConfig[]>): void {
    const before = this.#providers
    const next: Provider[] = []
    const fresh: Provider[] = []
    const served = new Map(before.map((provider) => [provider, provider.sets]))
    let failed = 0
    for (const provider of before) provider.sets = new Set()
    for (const [set, configs] of sets) {
      for (const config of configs) {
        let provider = next.find((p) => sameValue(p.config, config))
        if (provider === undefined) {
          const kept = before.find((p) => sameValue(p.config, config))
          provider = kept ?? this.#open(config, set) ?? undefined
          if (provider === undefined) {
            failed++
            continue
          }
          if (kept === undefined) fresh.push(provider)
          next.push(provider)
        }
        provider.sets.add(set)
      }
    }
    const { metrics } = this.#ports
    metrics.failedConfigs.labels(this.#name).set(failed)
    this.#providers = next
    const gone = before.filter((provider) => !next.includes(provider))
    for (const provider of gone) this.#close(provider)
    for (const set of this.#sets) {
      if (sets.has(set)) continue
      metrics.discoveredTargets.remove(this.#name, set)
      metrics.lastUpdate.remove(this.#name, set)
    }
    this.#sets = new Set(sets.keys())
    this.#dirty.clear()
    for (const set of sets.keys()) this.#dirty.add(set)
    this.#applying = true
    for (const provider of fresh) {
      const at = gone.findIndex(
        (old) => old.config.kind === provider.config.kind && [...served.get(old)!].some((set) => provider.sets.has(set)),
      )
      if (at !== -1) this.#inherit(provider, gone.splice(at, 1)[0]!)
      provider.mechanism.start((groups) => this.#receive(provider, groups))
    }
    this.#applying = false
    this.#waitMs = firstWaitMs
    this.#send()
  }

  stop(): void {
    this.#timer?.cancel()
    this.#timer = null
    for (const provider of this.#providers) this.#close(provider)
    this.#providers = []
    this.#dirty.clear()
  }

  /** Null where the section cannot be made to work: told and counted, the others go on. */
  #open(config: DiscoveryConfig, set: string): Provider | null {
    try {
      const mechanism = openMechanism(config, set, this.#ports)
      return {
        config,
        mechanism,
        firstSet: set,
        groups: new Map(),
        inherited: null,
        heirUntil: null,
        sets: new Set(),
        number: this.#numbers++,
      }
    } catch (thrown) {
      this.#ports.log.error({ err: messageOf(thrown), type: config.kind, config: set }, 'Cannot create service discovery')
      return null
    }
  }

  #close(provider: Provider): void {
    provider.mechanism.stop()
    provider.heirUntil?.cancel()
    const { kind } = provider.config
    if (this.#providers.some((other) => other !== provider && other.config.kind === kind && other.firstSet === provider.firstSet)) return
    this.#ports.metrics.refreshFailures.remove(kind, provider.firstSet)
    this.#ports.metrics.refreshDuration.remove(kind, provider.firstSet)
  }

  #inherit(provider: Provider, from: Provider): void {
    provider.inherited = from.inherited ?? [...from.groups.values()]
    provider.heirUntil = this.#ports.clock.after(this.#updateIntervalMs, () => {
      provider.inherited = null
      this.#changed(provider)
    })
  }

  #receive(provider: Provider, groups: readonly TargetGroup[]): void {
    if (!this.#providers.includes(provider)) return // a last word after it was stopped
    this.#ports.metrics.receivedUpdates.labels(this.#name).inc()
    provider.heirUntil?.cancel()
    provider.inherited = null
    for (const group of groups) {
      const source = `${provider.config.kind}/${provider.number}/${group.source}`
      const known = provider.groups.get(group.source)
      if (group.targets.length === 0) provider.groups.delete(group.source)
      else if (known === undefined || !sameGroup(known, group)) provider.groups.set(group.source, { ...group, source })
    }
    this.#changed(provider)
  }

  #changed(provider: Provider): void {
    for (const set of provider.sets) this.#dirty.add(set)
    if (!this.#applying) this.#schedule()
  }

  /** The first update after a quiet time goes out soon, a stream of them ever more seldom. */
  #schedule(): void {
    const { clock, metrics } = this.#ports
    if (this.#timer !== null) {
      metrics.updatesDelayed.labels(this.#name).inc()
      return
    }
    const quietMs = clock.monotonicMs() - this.#lastSent
    if (quietMs > this.#updateIntervalMs) this.#waitMs = firstWaitMs
    const wait = Math.max(0, this.#waitMs - quietMs)
    if (wait > 0) metrics.updatesDelayed.labels(this.#name).inc()
    this.#timer = clock.after(wait, () => {
      this.#waitMs = Math.min(this.#updateIntervalMs, this.#waitMs * waitGrowth)
      this.#send()
    })
  }

  #send(): void {
    this.#timer?.cancel()
    this.#timer = null
    if (this.#dirty.size === 0) return
    const { metrics, clock } = this.#ports
    this.#lastSent = clock.monotonicMs()
    const dirty = [...this.#dirty]
    this.#dirty.clear()
    metrics.updates.labels(this.#name).inc()
    for (const set of dirty) {
      const groups = this.#providers.flatMap((provider) =>
        provider.sets.has(set) ? (provider.inherited ?? [...provider.groups.values()]) : [],
      )
      metrics.discoveredTargets.labels(this.#name, set).set(groups.reduce((targets, group) => targets + group.targets.length, 0))
      metrics.lastUpdate.labels(this.#name, set).set(clock.nowMs() / 1000)
      this.#onGroups(set, groups)
    }
  }
}

/**
 * A section ready to start. `set` is the scrape job or alertmanager entry it works for.
 * Throws CONFIG_INVALID for mechanisms that are not in `supportedDiscovery`.
 */
export function openMechanism(config: DiscoveryConfig, set: string, ports: DiscoveryPorts): Mechanism {
  switch (config.kind) {
    case 'static':
      return staticDiscovery(config)
    case 'file':
      return fileDiscovery(config, ports)
    case 'http':
      return httpDiscovery(config, set, ports)
    case 'dns':
      return dnsDiscovery(config, set, ports)
    default:
      throw new PromhiveError(
        'CONFIG_INVALID',
        `cannot discover targets by ${config.kind}_sd_configs: this version does not support it yet`,
      )
  }
}

/** But for the source, which the manager makes its own. */
function sameGroup(a: TargetGroup, b: TargetGroup): boolean {
  return (
    a.targets.length === b.targets.length &&
    labelsEqual(a.labels, b.labels) &&
    a.targets.every((target, i) => labelsEqual(target, b.targets[i]!))
  )
}
