// Starts actors and ends them: the one place where machines meet clock, bus, supervision and metrics.
import type { AnyStateMachine } from 'xstate'
import { assert } from '../../src/base/assert.ts'
import type { Logger } from '../../src/base/logger.ts'
import type { MetricsRegistry } from '../../src/base/metrics.ts'
import type { Clock } from '../../src/ports/clock.ts'
import type { Random } from '../../src/ports/random.ts'
import type { Bus } from '../../cluster/ports.ts'
import { SupervisedActor, type ActorHandle, type ActorSpec } from './supervised.ts'

export type RuntimeParts = Readonly<{ clock: Clock; bus: Bus; random: Random; logger: Logger; metrics: MetricsRegistry }>

/** What a runtime knows of an actor without knowing its machine. */
type Known = Pick<ActorHandle<AnyStateMachine>, 'id' | 'status' | 'restarts' | 'waitingMessages' | 'stop'> & Readonly<{ kind: string }>

export class ActorRuntime {
  readonly #parts: RuntimeParts
  /** In the order they were started. */
  readonly #actors = new Map<string, Known>()
  readonly #metrics
  #stopping = false

  constructor(parts: RuntimeParts) {
    this.#parts = parts
    const { metrics } = parts
    this.#metrics = {
      running: metrics.gauge('promhive_actors', 'Actors by kind.', ['kind']),
      messages: metrics.counter('promhive_actor_messages_total', 'Messages actors took from their mailboxes.', ['kind']),
      refused: metrics.counter(
        'promhive_actor_messages_refused_total',
        'Messages refused because a mailbox was full or did not understand them.',
        ['kind'],
      ),
      restarts: metrics.counter('promhive_actor_restarts_total', 'Restarts of actors after a failure.', ['kind']),
      snapshots: metrics.counter('promhive_actor_snapshot_failures_total', 'Snapshots of actors that could not be saved or loaded.', [
        'kind',
      ]),
    }
  }

  start<M extends AnyStateMachine>(spec: ActorSpec<M>): ActorHandle<M> {
    assert(!this.#actors.has(spec.id), `actor ${spec.id} is running already`)
    assert(!this.#stopping, `actor ${spec.id} started while the runtime stops`)
    const { clock, bus, random, logger } = this.#parts
    const { running, messages, refused, restarts, snapshots } = this.#metrics
    const { kind } = spec
    running.labels(kind).inc()
    const actor = new SupervisedActor(spec, {
      clock,
      bus,
      random,
      logger: logger.child({ component: kind }),
      counts: {
        messages: () => messages.labels(kind).inc(),
        refused: () => refused.labels(kind).inc(),
        restarted: () => restarts.labels(kind).inc(),
        snapshotFailed: () => snapshots.labels(kind).inc(),
      },
      ended: () => {
        running.labels(kind).inc(-1)
        this.#actors.delete(spec.id)
      },
    })
    this.#actors.set(spec.id, {
      kind,
      id: spec.id,
      get status() {
        return actor.status
      },
      get restarts() {
        return actor.restarts
      },
      get waitingMessages() {
        return actor.waitingMessages
      },
      stop: (deadlineMs) => actor.stop(deadlineMs),
    })
    return actor
  }

  /** For status pages, in the order of start. */
  list(): readonly Readonly<{ id: string; kind: string; status: string; restarts: number; waitingMessages: number }>[] {
    return Array.from(this.#actors.values(), ({ id, kind, status, restarts, waitingMessages }) => ({
      id,
      kind,
      status,
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
    const actors = [...this.#actors.values()].reverse()
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
