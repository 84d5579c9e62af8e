// One machine under supervision.
//
//   running ──machine fails──▶ waiting ──back-off──▶ running         running ──final state──▶ done
//   stop: the stop event is sent and the final state awaited; after the deadline, or without a stop event, the machine is cut short ──▶ stopped
//
// The back-off doubles from failure to failure up to a cap, with jitter, and starts anew after a quiet time. A restart begins from the last
// snapshot; where the machine fails again before it was quiet, from nothing, because the snapshot may be the reason.
import {
  createActor,
  type Actor,
  type AnyMachineSnapshot,
  type AnyStateMachine,
  type EventFromLogic,
  type InputFrom,
  type SnapshotFrom,
} from 'xstate'
import { messageOf } from '../../src/base/errors.ts'
import type { Logger } from '../../src/base/logger.ts'
import type { Clock, Timer } from '../../src/ports/clock.ts'
import type { Random } from '../../src/ports/random.ts'
import type { Bus } from '../../cluster/ports.ts'
import { xstateClock } from './clock.ts'
import { Mailbox, type MailboxOptions } from './mailbox.ts'

export type RestartPolicy = Readonly<{ firstMs: number; maxMs: number; quietMs: number }>
export const restartDefault: RestartPolicy = { firstMs: 250, maxMs: 60_000, quietMs: 60_000 }

/** Where the state of a machine outlives it. Values are what XState persists: plain data. */
export type SnapshotStore = Readonly<{
  load: () => Promise<unknown>
  save: (snapshot: unknown) => Promise<void>
  /** Saved this often where it changed, and at the end. */
  everyMs: number
}>

export type ActorSpec<M extends AnyStateMachine> = Readonly<{
  /** Unique in the runtime. */
  id: string
  /** What the actor is, for metrics: `rule-group`, `notifier`. */
  kind: string
  machine: M
  /** For every start. */
  input: () => InputFrom<M>
  mailbox?: MailboxOptions<EventFromLogic<M>>
  /** While true, messages wait in the mailbox. */
  busy?: (snapshot: SnapshotFrom<M>) => boolean
  /** `load` gives null where there is nothing. */
  snapshot?: SnapshotStore
  /** Asks the machine to end in its own time. */
  stopEvent?: EventFromLogic<M>
  restart?: Partial<RestartPolicy>
}>

export type ActorStatus = 'starting' | 'running' | 'waiting' | 'done' | 'stopped'

export type ActorParts = Readonly<{
  clock: Clock
  bus: Bus
  random: Random
  logger: Logger
  counts: Readonly<{ messages: () => void; refused: () => void; restarted: () => void; snapshotFailed: () => void }>
  ended: () => void
}>

/** What whoever started an actor holds. */
export interface ActorHandle<M extends AnyStateMachine> {
  readonly id: string
  readonly status: ActorStatus
  readonly restarts: number
  readonly waitingMessages: number
  /** The machine's state; null while there is none. */
  snapshot(): SnapshotFrom<M> | null
  /** An event from within the process, past the mailbox; dropped while the machine is not running. */
  send(event: EventFromLogic<M>): void
  /** True where it ended by itself within the time. */
  stop(deadlineMs: number): Promise<boolean>
  /** Resolves when it is done or stopped. */
  readonly ended: Promise<void>
}

export class SupervisedActor<M extends AnyStateMachine> implements ActorHandle<M> {
  readonly id: string
  status: ActorStatus = 'starting'
  restarts = 0
  readonly ended: Promise<void>
  readonly #spec: ActorSpec<M>
  readonly #parts: ActorParts
  readonly #policy: RestartPolicy
  readonly #mailbox: Mailbox<EventFromLogic<M>> | null
  readonly #finish: () => void
  #actor: Actor<M> | null = null
  #failures = 0
  #startedMs = 0
  #timer: Timer | null = null
  #saveTimer: Timer | null = null
  #saving: Promise<void> = Promise.resolve()
  #changed = false
  #pumping = false
  #stopping = false

  constructor(spec: ActorSpec<M>, parts: ActorParts) {
    this.id = spec.id
    this.#spec = spec
    this.#parts = parts
    this.#policy = { ...restartDefault, ...spec.restart }
    let finish = (): void => {}
    this.ended = new Promise((resolve) => (finish = resolve))
    this.#finish = finish
    this.#mailbox =
      spec.mailbox === undefined ? null : new Mailbox(parts.bus, spec.id, spec.mailbox, () => this.#pump(), parts.counts.refused)
    void this.#start()
  }

  get waitingMessages(): number {
    return this.#mailbox?.length ?? 0
  }
  snapshot(): SnapshotFrom<M> | null {
    return this.#actor === null ? null : this.#actor.getSnapshot()
  }
  send(event: EventFromLogic<M>): void {
    this.#actor?.send(event)
  }

  async stop(deadlineMs: number): Promise<boolean> {
    if (this.status === 'done' || this.status === 'stopped') return this.status === 'done'
    this.#stopping = true
    this.#timer?.cancel()
    let timely = false
    if (this.#actor !== null && this.#spec.stopEvent !== undefined) {
      this.#actor.send(this.#spec.stopEvent)
      timely = await Promise.race([this.ended.then(() => true), this.#parts.clock.sleep(deadlineMs).then(() => false)])
    }
    if (!timely) await this.#end('stopped')
    return timely
  }

  async #start(): Promise<void> {
    const { snapshot: store, machine, input } = this.#spec
    let state: unknown = null
    if (store !== undefined && this.#failures < 2) {
      try {
        state = await store.load()
      } catch (thrown) {
        this.#parts.counts.snapshotFailed()
        this.#parts.logger.warn({ actor: this.id, err: messageOf(thrown) }, 'Cannot load the snapshot of an actor, it starts from nothing')
      }
    }
    if (this.#stopping || this.status === 'stopped') return
    let actor: Actor<M>
    try {
      // XState types options by the machine, which is open here.
      const create = createActor as unknown as (logic: M, options: Readonly<Record<string, unknown>>) => Actor<M>
      actor = create(machine, { clock: xstateClock(this.#parts.clock), input: input(), ...(state === null ? {} : { snapshot: state }) })
    } catch (thrown) {
      return this.#failed(thrown)
    }
    this.#actor = actor
    this.status = 'running'
    this.#startedMs = this.#parts.clock.monotonicMs()
    actor.subscribe({
      next: () => {
        this.#changed = true
        // Later: the machine is still in the middle of its transition.
        queueMicrotask(() => this.#pump())
      },
      error: (thrown) => {
        if (this.#actor === actor) this.#failed(thrown)
      },
      complete: () => {
        if (this.#actor === actor && (actor.getSnapshot() as AnyMachineSnapshot).status === 'done') void this.#end('done')
      },
    })
    actor.start()
    if (this.#actor !== actor) return
    if (store !== undefined) this.#saveLater()
    this.#pump()
  }

  #failed(thrown: unknown): void {
    const { clock, random, logger, counts } = this.#parts
    this.#actor = null
    this.#saveTimer?.cancel()
    this.#mailbox?.failOwed(`${this.id} failed: ${messageOf(thrown)}`)
    if (this.status === 'running' && clock.monotonicMs() - this.#startedMs >= this.#policy.quietMs) this.#failures = 0
    if (this.#stopping) return void this.#end('stopped')
    const delayMs = Math.min(this.#policy.maxMs, this.#policy.firstMs * 2 ** this.#failures) * (0.5 + random.next() / 2)
    this.#failures++
    this.restarts++
    this.status = 'waiting'
    counts.restarted()
    const stack = thrown instanceof Error ? thrown.stack : undefined
    logger.error({ actor: this.id, err: messageOf(thrown), stack, restart_in: `${Math.round(delayMs)}ms` }, 'Actor failed')
    this.#timer = clock.after(delayMs, () => void this.#start())
  }

  /** Hands waiting messages to the machine as long as it takes them. */
  #pump(): void {
    if (this.#pumping) return
    this.#pumping = true
    try {
      while (this.#mailbox !== null && this.#actor !== null && this.status === 'running' && !this.#stopping) {
        if (this.#spec.busy?.(this.#actor.getSnapshot()) === true) break
        const event = this.#mailbox.take()
        if (event === undefined) break
        this.#parts.counts.messages()
        this.#actor.send(event)
      }
    } finally {
      this.#pumping = false
    }
  }

  #saveLater(): void {
    this.#saveTimer = this.#parts.clock.after(this.#spec.snapshot!.everyMs, () => {
      this.#save()
      this.#saveLater()
    })
  }
  #save(): void {
    const actor = this.#actor
    if (!this.#changed || actor === null) return
    this.#changed = false
    this.#saving = this.#saving.then(async () => {
      try {
        await this.#spec.snapshot!.save(actor.getPersistedSnapshot())
      } catch (thrown) {
        this.#changed = true
        this.#parts.counts.snapshotFailed()
        this.#parts.logger.warn({ actor: this.id, err: messageOf(thrown) }, 'Cannot save the snapshot of an actor')
      }
    })
  }

  async #end(status: 'done' | 'stopped'): Promise<void> {
    if (this.status === 'done' || this.status === 'stopped') return this.ended
    this.status = status
    this.#timer?.cancel()
    this.#saveTimer?.cancel()
    this.#mailbox?.close(`${this.id} has ended`)
    // A machine that came to its end has nothing to come back to.
    if (status === 'stopped' && this.#spec.snapshot !== undefined) this.#save()
    const actor = this.#actor
    this.#actor = null
    await this.#saving
    actor?.stop()
    this.#parts.ended()
    this.#finish()
  }
}
