// The targets of one job: who is scraped, who was dropped, who is leaving. The data plane of the scrape-pool machine.
import { Cancel } from '../../src/base/cancel.ts'
import { messageOf } from '../../src/base/errors.ts'
import type { Labels } from '../../src/model/labels.ts'
import type { TargetGroup } from '../../src/model/target-group.ts'
import { labelOfInterval } from '../../src/scrape/metrics.ts'
import { TargetScrape, type JobSupplies, type ScrapeSupplies } from '../../src/scrape/target-scrape.ts'
import { populateGroup, slotOffset, type Target, type TargetsOfGroup } from '../../src/scrape/target.ts'
import type { ActorRuntime } from '../runtime/runtime.ts'
import type { ActorHandle } from '../runtime/supervised.ts'
import type { Slots } from '../target/cycle.ts'
import { target as targetMachine } from '../target/machine.ts'
import type { SlotSteps, SlotTimers } from '../target/slot-timers.ts'

type Member = {
  scrape: TargetScrape
  actor: ActorHandle<typeof targetMachine>
  ended: Cancel
  /** Of the last sync. */
  present: boolean
}

/** When the targets of a process are scraped. */
export type SlotSupplies = Readonly<{
  timers: SlotTimers
  steps: SlotSteps
  /** src/scrape/target.ts offsetSeed. */
  seed: bigint
}>

export class ScrapePool {
  readonly #supplies: ScrapeSupplies
  readonly #runtime: ActorRuntime
  readonly #slotting: SlotSupplies
  #job: JobSupplies
  /** Being scraped, by target key. */
  readonly #active = new Map<string, Member>()
  /** Gone from discovery, their series not ended yet. */
  readonly #leaving = new Map<string, Member>()
  #groups: readonly TargetGroup[] = []
  /** What groups became under the present configuration: discovery hands over the same object until something changes. */
  #populated = new WeakMap<TargetGroup, TargetsOfGroup>()
  #dropped: Labels[] = []
  #droppedCount = 0
  /** Not '': every scrape fails with it. */
  #limitError = ''
  #dissolved = false

  constructor(supplies: ScrapeSupplies, job: JobSupplies, runtime: ActorRuntime, slotting: SlotSupplies) {
    this.#supplies = supplies
    this.#runtime = runtime
    this.#job = job
    this.#slotting = slotting
    supplies.metrics.poolTargetLimit.labels(job.options.jobName).set(job.options.targetLimit)
  }

  get job(): JobSupplies {
    return this.#job
  }

  /** Makes these the targets: unchanged ones go on, new ones start at their next slot, the others leave. */
  sync(groups: readonly TargetGroup[]): void {
    const { metrics, clock } = this.#supplies
    const { options } = this.#job
    const startMs = clock.monotonicMs()
    this.#groups = groups
    this.#dropped = []
    this.#droppedCount = 0
    for (const member of this.#active.values()) member.present = false
    const populated = groups.map((group) => this.#populate(group))
    const targets = populated.reduce((sum, found) => sum + found.targets.length, 0)
    this.#slotting.steps.set(this, targets / options.intervalMs)
    for (const found of populated) {
      metrics.syncFailed.labels(options.jobName).inc(found.problems.length)
      for (const labels of found.dropped) this.#drop(labels)
      for (const each of found.targets) {
        // without a single public label there is nothing to tell its series by
        if (each.labels.length === 0) this.#drop(each.discovered)
        else this.#keep(each)
      }
    }
    for (const [key, member] of this.#active) if (!member.present) this.#leave(key, member)
    this.#applyTargetLimit()
    const seconds = (clock.monotonicMs() - startMs) / 1000
    metrics.poolTargets.labels(options.jobName).set(this.#active.size)
    metrics.poolSymbols.labels(options.jobName).set(0) // pools keep label bytes, no table of symbols
    metrics.syncLength.labels(options.jobName).observe(seconds)
    metrics.syncLengthHistogram.labels(options.jobName).observe(seconds)
    metrics.poolSyncs.labels(options.jobName).inc()
  }

  #populate(group: TargetGroup): TargetsOfGroup {
    const known = this.#populated.get(group)
    if (known !== undefined) return known
    const { options, relabeling, logger } = this.#job
    const found = populateGroup(options, relabeling, group)
    this.#populated.set(group, found)
    for (const problem of found.problems) logger.error({ scrape_pool: options.jobName, err: problem }, 'Creating target failed')
    return found
  }

  /** Another configuration. Targets that it leaves as they are keep their slots and their series. */
  reload(job: JobSupplies): void {
    const { metrics, clock } = this.#supplies
    const startMs = clock.monotonicMs()
    metrics.poolReloads.inc()
    this.#job = job
    this.#populated = new WeakMap()
    metrics.poolTargetLimit.labels(job.options.jobName).set(job.options.targetLimit)
    this.sync(this.#groups)
    metrics.reloadLength.labels(labelOfInterval(job.options.intervalMs)).observe((clock.monotonicMs() - startMs) / 1000)
  }

  /** After a failure of the pool's machine, in the middle of whatever it did: nothing it had worked out is trusted. Targets were scraped all the time. */
  recover(groups: readonly TargetGroup[]): void {
    this.#populated = new WeakMap()
    if (this.#dissolved) this.dissolve()
    else this.sync(groups)
  }

  /** Ends scraping; scrapes under way are cut off. No staleness markers: another process, or this one started again, goes on with the series. */
  stop(): void {
    const { metrics } = this.#supplies
    const { jobName } = this.#job.options
    for (const member of [...this.#active.values(), ...this.#leaving.values()]) this.#release(member)
    this.#active.clear()
    this.#leaving.clear()
    this.#slotting.steps.set(this, 0)
    for (const gauge of [metrics.poolTargetLimit, metrics.poolTargets, metrics.poolSymbols]) gauge.remove(jobName)
    for (const counter of [metrics.poolSyncs, metrics.syncFailed]) counter.remove(jobName)
    metrics.syncLength.remove(jobName)
  }

  /** Ends scraping because the job is gone from the configuration: every target leaves, with staleness markers in the end. */
  dissolve(): void {
    this.#dissolved = true
    this.#slotting.steps.set(this, 0)
    for (const [key, member] of this.#active) this.#leave(key, member)
  }

  /** Targets leaving, whose series are still to be ended. */
  get leavingCount(): number {
    return this.#leaving.size
  }

  /** In the order of their URLs. */
  active(): readonly TargetScrape[] {
    return Array.from(this.#active.values(), (member) => member.scrape).sort((a, b) =>
      a.target.url < b.target.url ? -1 : a.target.url > b.target.url ? 1 : 0,
    )
  }

  /** Discovered labels of dropped targets, as many as `keep_dropped_targets` says. */
  dropped(): readonly Labels[] {
    return this.#dropped
  }

  get droppedCount(): number {
    return this.#droppedCount
  }

  #drop(discovered: Labels): void {
    const { keepDroppedTargets } = this.#job.options
    this.#droppedCount++
    if (keepDroppedTargets === 0 || this.#dropped.length < keepDroppedTargets) this.#dropped.push(discovered)
  }

  #keep(target: Target): void {
    const known = this.#active.get(target.key)
    if (known !== undefined) {
      if (known.present) return // twice in discovery: the first one is it
      known.present = true
      this.#reconfigure(known, target)
      return
    }
    const leaving = this.#leaving.get(target.key)
    if (leaving !== undefined && leaving.actor.snapshot()?.matches('ending') === false) {
      this.#leaving.delete(target.key)
      this.#active.set(target.key, leaving)
      leaving.present = true
      const { intervalMs } = leaving.scrape.target
      leaving.scrape.reconfigure(this.#job, target)
      if (intervalMs !== target.intervalMs) leaving.actor.send({ type: 'slots', slots: this.#slots(target) })
      leaving.actor.send({ type: 'return' })
      return
    }
    this.#active.set(target.key, this.#start(target))
  }

  #reconfigure(member: Member, target: Target): void {
    const before = member.scrape.target
    if (before === target) return
    member.scrape.reconfigure(this.#job, target)
    if (before.intervalMs !== target.intervalMs) member.actor.send({ type: 'slots', slots: this.#slots(target) })
  }

  #slots(target: Target): Slots {
    const { steps, seed } = this.#slotting
    const stepMs = steps.stepMs(target.intervalMs)
    return { intervalMs: target.intervalMs, offsetMs: Math.floor(slotOffset(target, seed) / stepMs) * stepMs }
  }

  #start(target: Target): Member {
    const scrape = new TargetScrape(this.#supplies, this.#job, target)
    const member: Omit<Member, 'actor'> & Partial<Member> = { scrape, ended: new Cancel(), present: true }
    const work = {
      scrape: (slotMs: number) => member.scrape.scrape(slotMs, member.ended),
      end: (timeMs: number) => member.scrape.end(timeMs),
    }
    const actor = this.#runtime.start({
      id: target.url,
      kind: 'target',
      machine: targetMachine,
      input: () => ({ ...this.#slots(member.scrape.target), work, timers: this.#slotting.timers }),
      onFailure: (thrown) => this.#renew(member as Member, thrown),
      onEnd: () => {
        if (this.#leaving.get(target.key) === member) this.#leaving.delete(target.key)
        member.scrape.release()
      },
    })
    return Object.assign(member, { actor })
  }

  /** The machine failed: it starts again with nothing of what its scrapes had learnt, for that may be the reason. */
  #renew(member: Member, thrown: unknown): void {
    const { target } = member.scrape
    member.ended.cancel()
    member.ended = new Cancel()
    const scrape = new TargetScrape(this.#supplies, this.#job, target)
    scrape.forceError(this.#limitError)
    scrape.health = 'down'
    scrape.lastError = `BUG: ${messageOf(thrown).replace(/^BUG: /, '')}; scraping starts again`
    const before = member.scrape
    member.scrape = scrape
    // one that leaves must not be scraped again
    if (this.#leaving.get(target.key) === member) void member.actor.stop(0)
    before.release()
  }

  #leave(key: string, member: Member): void {
    this.#active.delete(key)
    const before = this.#leaving.get(key)
    if (before !== undefined) this.#release(before)
    this.#leaving.set(key, member)
    member.actor.send({ type: 'leave' })
  }

  #release(member: Member): void {
    member.ended.cancel()
    void member.actor.stop(0)
  }

  #applyTargetLimit(): void {
    const { targetLimit } = this.#job.options
    let error = ''
    if (targetLimit > 0 && this.#active.size > targetLimit) {
      this.#supplies.metrics.exceededTargetLimit.inc()
      error = `target_limit exceeded (number of targets: ${this.#active.size}, limit: ${targetLimit})`
    }
    this.#limitError = error
    for (const member of this.#active.values()) member.scrape.forceError(error)
  }
}
