// Starts actors and ends them: the one place where machines meet clock, bus, supervision and metrics.
import type { AnyStateMachine } from 'xstate'
import { assert } from '../../src/base/assert.ts'
import type { Logger } from '../../src/base/logger.ts'
import type { MetricsRegistry } from '../../src/base/metrics.ts'
import type { Rng } from '../../src/base/rng.ts'
import type { Clock } from '../../src/ports/clock.ts'
import type { Bus } from '../../cluster/ports.ts'
import { xstateClock, type MachineClock } from './clock.ts'
import { SupervisedActor, type ActorHandle, type ActorParts, type ActorSpec, type Known } from './supervised.ts'

export type RuntimeParts = Readonly<{
  clock: Clock
  /** Null: actors are reached from within the process alone. */
  bus: Bus | null
  random: Pick<Rng, 'next'>
  logger: Logger
  metrics: MetricsRegistry
}>

/** What a status page shows of an actor. */
export type ActorStatusLine = Readonly<{
  id: string
  kind: string
  status: string
  /** Where its machine stands; '' while there is none. */
  state: string
  restarts: number
  waitingMessages: number
}>

export class ActorRuntime {
  readonly #parts: RuntimeParts
  readonly #machineClock: MachineClock
  /** In the order they were started. */
  readonly #actors = new Set<Known>()
  /** What the actors of a kind share. */
  readonly #kinds = new Map<string, ActorParts>()
  readonly #metrics
  #stopping = false

  constructor(parts: RuntimeParts) {
    this.#parts = parts
    this.#machineClock = xstateClock(parts.clock)
    const { metrics } = parts
    this.#metrics = {
      running: metrics.gauge('promhive_actors', 'Actors by kind.', ['kind']),
      messages: metrics.counter('promhive_actor_messages_total', 'Messages actors took from their mailboxes.', ['kind']),
      refused: metrics.counter(
        'promhive_actor_messages_refused_total',
        'Messages refused because a mailbox was full, did not understand them, or its actor had ended.',
        ['kind'],
      ),
      restarts: metrics.counter('promhive_actor_restarts_total', 'Restarts of actors after a failure.', ['kind']),
      snapshots: metrics.counter('promhive_actor_snapshot_failures_total', 'Snapshots of actors that could not be saved or loaded.', [
        'kind',
      ]),
    }
  }

  start<M extends AnyStateMachine>(spec: ActorSpec<M>): ActorHandle<M> {
    assert(!this.#stopping, `actor ${spec.id} started while the runtime stops`)
    const { kind } = spec
    let shared = this.#kinds.get(kind)
    if (shared === undefined) this.#kinds.set(kind, (shared = this.#shared(kind)))
    this.#metrics.running.labels(kind).inc()
    const actor = new SupervisedActor(spec, shared)
    this.#actors.add(actor)
    actor.start()
    return actor
  }

  #shared(kind: string): ActorParts {
    const { clock, bus, random, logger } = this.#parts
    const { running, messages, refused, restarts, snapshots } = this.#metrics
    const [taken, turnedAway, again, unsaved] = [messages, refused, restarts, snapshots].map((metric) => metric.labels(kind))
    return {
      clock,
      machineClock: this.#machineClock,
      bus,
      random,
      logger: logger.child({ component: kind }),
      counts: {
        messages: () => taken!.inc(),
        refused: () => turnedAway!.inc(),
        restarted: () => again!.inc(),
        snapshotFailed: () => unsaved!.inc(),
      },
      ended: (actor) => {
        running.labels(kind).inc(-1)
        this.#actors.delete(actor)
      },
    }
  }

  /** For status pages, in the order of start. */
  list(): readonly ActorStatusLine[] {
    return Array.from(this.#actors, ({ id, kind, status, state, restarts, waitingMessages }) => ({
      id,
      kind,
      status,
      state,
      restarts,
      waitingMessages,
    }))
  }

  /**
   * Stops all actors, the last started first, one after the other; those of one kind that were started in a row stop together.
   * @returns ids of those that had to be cut short because the time was over.
   */
  async stop(deadlineMs: number): Promise<string[]> {
    this.#stopping = true
    const { clock } = this.#parts
    const endMs = clock.monotonicMs() + deadlineMs
    const late: string[] = []
    const actors = [...this.#actors].reverse()
    while (actors.length > 0) {
      const together = [actors.shift()!]
      while (actors.length > 0 && actors[0]!.kind === together[0]!.kind) together.push(actors.shift()!)
      await Promise.all(
        together.map(async (actor) => {
          if (!(await actor.stop(Math.max(0, endMs - clock.monotonicMs()))) && clock.monotonicMs() >= endMs) late.push(actor.id)
        }),
      )
    }
    return late
  }
}
