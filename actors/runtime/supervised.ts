// One machine under supervision.
//
//   running ──machine fails──▶ waiting ──back-off──▶ running         running ──final state──▶ done
//   stop: the stop event is sent and the final state awaited; after the deadline, or without a stop event, the machine is cut short ──▶ stopped
//
// The back-off grows from failure to failure (back-off.ts) and starts anew after a quiet time. A restart begins from the state the machine
// failed in, or from its last snapshot where one is stored. Where it fails again before it was quiet that state may be the reason: the snapshot is
// left, and whoever makes the input is told.
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
import type { Rng } from '../../src/base/rng.ts'
import type { Bus } from '../../cluster/ports.ts'
import { backOffMs, restartDefault, type RestartPolicy } from './back-off.ts'
import type { MachineClock } from './clock.ts'
import { Mailbox, type MailboxOptions } from './mailbox.ts'

/** Where the state of a machine outlives it. Values are what XState persists: plain data. */
export type SnapshotStore = Readonly<{
  load: () => Promise<unknown>
  save: (snapshot: unknown) => Promise<void>
  /** Saved this often where it changed, and at the end. */
  everyMs: number
}>

/** The state a machine failed in. `again`: it failed before, and was not quiet in between, so the state itself may be the reason. */
export type FailedState<M extends AnyStateMachine> = Readonly<{ snapshot: SnapshotFrom<M>; again: boolean }>

export type ActorSpec<M extends AnyStateMachine> = Readonly<{
  /** What it is called in the log and on status pages. */
  id: string
  /** What the actor is, for metrics: `rule-group`, `notifier`. */
  kind: string
  machine: M
  /** For every start. Null at the first. */
  input: (failed: FailedState<M> | null) => InputFrom<M>
  /** What it is asked over the Bus. */
  mailbox?: MailboxOptions<EventFromLogic<M>>
  /** Default: limits.mailboxMessagesMax. */
  messagesMax?: number
  /** While true, messages wait in the mailbox. */
  busy?: (snapshot: SnapshotFrom<M>) => boolean
  /** `load` gives null where there is nothing. */
  snapshot?: SnapshotStore
  /** Asks the machine to end in its own time. */
  stopEvent?: EventFromLogic<M>
  /** Where it is to be stopped while it waits for its restart it is started once more, because it has something to finish. */
  finishes?: boolean
  restart?: Partial<RestartPolicy>
  /** Told of every failure, before the restart is waited for. */
  onFailure?: (thrown: unknown) => void
  /** Told once that it has ended. */
  onEnd?: (how: 'done' | 'stopped') => void
}>

export type ActorStatus = 'starting' | 'running' | 'waiting' | 'done' | 'stopped'

/** What all actors of a kind share. */
export type ActorParts = Readonly<{
  clock: Clock
  machineClock: MachineClock
  bus: Bus | null
  random: Pick<Rng, 'next'>
  logger: Logger
  counts: Readonly<{ messages: () => void; refused: () => void; restarted: () => void; snapshotFailed: () => void }>
  ended: (actor: Known) => void
}>

/** What a runtime knows of an actor without knowing its machine. */
export interface Known {
  readonly id: string
  readonly kind: string
  readonly status: ActorStatus
  readonly restarts: number
  readonly waitingMessages: number
  /** Where the machine stands: the name of its state, or of its states. */
  readonly state: string
  /** True where it ended by itself within the time. Without a limit (Infinity) it is waited for however long it takes. */
  stop(deadlineMs: number): Promise<boolean>
}

/** What whoever started an actor holds. */
export interface ActorHandle<M extends AnyStateMachine> extends Known {
  /** The machine's state; null while there is none. */
  snapshot(): SnapshotFrom<M> | null
  /**
   * An event from within the process. A running machine takes it before this returns, unless it is busy; else it waits in the mailbox. False,
   * and counted, where the mailbox is full or the actor has ended.
   */
  send(event: EventFromLogic<M>): boolean
  /** Resolves when it is done or stopped. */
  readonly ended: Promise<void>
}

export class SupervisedActor<M extends AnyStateMachine> implements ActorHandle<M> {
  status: ActorStatus = 'starting'
  restarts = 0
  readonly #spec: ActorSpec<M>
  readonly #parts: ActorParts
  readonly #mailbox: Mailbox<EventFromLogic<M>>
  #actor: Actor<M> | null = null
  /** Failures in a row. */
  #failures = 0
  /** The state it failed in. */
  #failed: SnapshotFrom<M> | null = null
  #startedMs = 0
  #timer: Timer | null = null
  #saveTimer: Timer | null = null
  #saving: Promise<void> | null = null
  #changed = false
  #pumping = false
  #stopping = false
  #waiters: (() => void)[] | null = null

  constructor(spec: ActorSpec<M>, parts: ActorParts) {
    this.#spec = spec
    this.#parts = parts
    this.#mailbox = new Mailbox(spec.messagesMax)
    if (spec.mailbox !== undefined) this.#mailbox.listen(parts.bus!, spec.id, spec.mailbox, () => this.#pump(), parts.counts.refused)
  }

  /** To be called once. Where no snapshot has to be loaded the machine runs when this returns. */
  start(): void {
    void this.#start()
  }

  get id(): string {
    return this.#spec.id
  }
  get kind(): string {
    return this.#spec.kind
  }
  get waitingMessages(): number {
    return this.#mailbox.length
  }
  get state(): string {
    if (this.#actor === null) return ''
    const { value } = this.#actor.getSnapshot() as AnyMachineSnapshot
    return typeof value === 'string' ? value : JSON.stringify(value)
  }
  get ended(): Promise<void> {
    return this.#hasEnded ? Promise.resolve() : new Promise((resolve) => (this.#waiters ??= []).push(resolve))
  }
  get #hasEnded(): boolean {
    return this.status === 'done' || this.status === 'stopped'
  }
  snapshot(): SnapshotFrom<M> | null {
    return this.#actor === null ? null : this.#actor.getSnapshot()
  }

  send(event: EventFromLogic<M>): boolean {
    if (this.#hasEnded || !this.#mailbox.post(event)) {
      this.#parts.counts.refused()
      return false
    }
    this.#pump()
    return true
  }

  async stop(deadlineMs: number): Promise<boolean> {
    if (this.#hasEnded) return this.status === 'done'
    const { stopEvent, finishes } = this.#spec
    this.#timer?.cancel()
    if (finishes === true && this.status === 'waiting') await this.#start()
    this.#stopping = true
    let timely = false
    if (this.#actor !== null && stopEvent !== undefined) {
      this.#actor.send(stopEvent)
      timely = await this.#endsWithin(deadlineMs)
    }
    if (!timely) await this.#end('stopped')
    return timely
  }

  #endsWithin(deadlineMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = deadlineMs === Infinity ? null : this.#parts.clock.after(deadlineMs, () => resolve(false))
      void this.ended.then(() => {
        timer?.cancel()
        resolve(this.status === 'done')
      })
    })
  }

  async #start(): Promise<void> {
    const { snapshot: store, machine, input } = this.#spec
    const { clock, machineClock, logger, counts } = this.#parts
    let state: unknown = null
    if (store !== undefined && this.#failures < 2) {
      try {
        state = await store.load()
      } catch (thrown) {
        counts.snapshotFailed()
        logger.warn({ actor: this.id, err: messageOf(thrown) }, 'Cannot load the snapshot of an actor, it starts from nothing')
      }
    }
    if (this.#stopping || this.#hasEnded) return
    let actor: Actor<M>
    try {
      // XState types options by the machine, which is open here.
      const create = createActor as unknown as (logic: M, options: Readonly<Record<string, unknown>>) => Actor<M>
      const given = input(this.#failed === null ? null : { snapshot: this.#failed, again: this.#failures > 1 })
      actor = create(machine, { clock: machineClock, input: given, ...(state === null ? {} : { snapshot: state }) })
    } catch (thrown) {
      return this.#fail(thrown)
    }
    this.#failed = null
    this.#actor = actor
    this.status = 'running'
    this.#startedMs = clock.monotonicMs()
    actor.subscribe({
      next: () => {
        this.#changed = true
        // Later: the machine is still in the middle of its transition.
        if (this.#mailbox.length > 0) queueMicrotask(() => this.#pump())
      },
      error: (thrown) => {
        if (this.#actor === actor) this.#fail(thrown)
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

  #fail(thrown: unknown): void {
    const { clock, random, logger, counts } = this.#parts
    const { onFailure, restart } = this.#spec
    const policy = restart === undefined ? restartDefault : { ...restartDefault, ...restart }
    this.#failed = this.#actor?.getSnapshot() ?? this.#failed
    this.#actor = null
    // XState leaves what a machine that failed has invoked running
    const { children } = (this.#failed ?? { children: {} }) as Pick<AnyMachineSnapshot, 'children'>
    for (const name in children) children[name]?.send({ type: 'xstate.stop' })
    this.#saveTimer?.cancel()
    this.#mailbox.failOwed(`${this.id} failed: ${messageOf(thrown)}`)
    if (this.status === 'running' && clock.monotonicMs() - this.#startedMs >= policy.quietMs) this.#failures = 0
    const delayMs = backOffMs(policy, this.#failures, random)
    this.#failures++
    const stack = thrown instanceof Error ? thrown.stack : undefined
    const told = { actor: this.id, err: messageOf(thrown), stack }
    try {
      onFailure?.(thrown)
    } catch (again) {
      logger.error({ actor: this.id, err: messageOf(again) }, 'Cannot tidy up after an actor that failed')
    }
    if (this.#stopping || this.#hasEnded) {
      logger.error(told, 'Actor failed and has ended')
      return void this.#end('stopped')
    }
    this.restarts++
    this.status = 'waiting'
    counts.restarted()
    logger.error({ ...told, restart_in: `${Math.round(delayMs)}ms` }, 'Actor failed')
    this.#timer = clock.after(delayMs, () => void this.#start())
  }

  /** Hands waiting messages to the machine as long as it takes them. */
  #pump(): void {
    if (this.#pumping) return
    this.#pumping = true
    try {
      while (this.#actor !== null && this.status === 'running' && !this.#stopping && this.#mailbox.length > 0) {
        if (this.#spec.busy?.(this.#actor.getSnapshot()) === true) break
        const event = this.#mailbox.take()!
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
    const saved = async (): Promise<void> => {
      try {
        await this.#spec.snapshot!.save(actor.getPersistedSnapshot())
      } catch (thrown) {
        this.#changed = true
        this.#parts.counts.snapshotFailed()
        this.#parts.logger.warn({ actor: this.id, err: messageOf(thrown) }, 'Cannot save the snapshot of an actor')
      }
    }
    this.#saving = this.#saving === null ? saved() : this.#saving.then(saved)
  }

  async #end(status: 'done' | 'stopped'): Promise<void> {
    if (this.#hasEnded) return this.ended
    this.status = status
    this.#timer?.cancel()
    this.#saveTimer?.cancel()
    this.#mailbox.close(`${this.id} has ended`)
    // A machine that came to its end has nothing to come back to.
    if (status === 'stopped' && this.#spec.snapshot !== undefined) this.#save()
    const actor = this.#actor
    this.#actor = null
    if (this.#saving !== null) await this.#saving
    actor?.stop()
    this.#parts.ended(this)
    try {
      this.#spec.onEnd?.(status)
    } catch (thrown) {
      this.#parts.logger.error({ actor: this.id, err: messageOf(thrown) }, 'Cannot tidy up after an actor that ended')
    }
    for (const waiter of this.#waiters?.splice(0) ?? []) waiter()
  }
}
