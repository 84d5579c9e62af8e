// A network between the members of a Bus: delay, loss, duplication, reordering, lost answers and partitions by seed.
// Each member has its own Bus object over the shared inner one; what a member sends itself is never troubled.
import { PromhiveError } from '../../src/base/errors.ts'
import type { Rng } from '../../src/base/rng.ts'
import type { Clock } from '../../src/ports/clock.ts'
import type { Bus, BusMessage, BusReply } from '../ports.ts'

/** Probabilities per message, and the delay, drawn evenly: different delays reorder. */
export type BusFaults = { lost: number; duplicated: number; lostReply: number; delayMs: readonly [number, number] }

export interface SimulatedBusNetwork {
  /** From now on; may be changed during a run. */
  readonly faults: BusFaults
  member(name: string): Bus
  /** Cuts or mends what `from` sends to `to`; the other direction is its own. */
  partition(from: string, to: string, cut: boolean): void
}

type Envelope = Readonly<{ from: string; body: unknown }>

/** @param inner carries everything in the end; nothing else may use it. */
export function simulatedBus(inner: Bus, clock: Clock, rng: Rng): SimulatedBusNetwork {
  const faults: BusFaults = { lost: 0, duplicated: 0, lostReply: 0, delayMs: [0, 0] }
  const cuts = new Set<string>()
  const cut = (from: string, to: string): boolean => cuts.has(`${from} ${to}`)
  const delayMs = (): number => faults.delayMs[0] + rng.next() * (faults.delayMs[1] - faults.delayMs[0])
  const later = (task: () => void): void => {
    const ms = delayMs()
    if (ms === 0) task()
    else clock.after(ms, task)
  }
  const wrap = (from: string, message: BusMessage): BusMessage => ({
    body: { from, body: message.body } satisfies Envelope,
    ...(message.transfer === undefined ? {} : { transfer: message.transfer }),
  })

  /** Answers of `to` on their way back to `from`: late, in order, lost from some point on. A lost answer is never followed by others. */
  const troubled = (from: string, to: string, reply: BusReply): BusReply => {
    if (from === to) return reply
    let broken = false
    let queue = Promise.resolve()
    const carry = (deliver: () => void): void => {
      broken ||= rng.chance(faults.lostReply)
      if (broken) return
      const ms = delayMs()
      queue = queue.then(async () => {
        if (ms > 0) await clock.sleep(ms)
        broken ||= cut(to, from)
        if (!broken) deliver()
      })
    }
    return {
      get wanted() {
        return reply.wanted
      },
      send: (message) => carry(() => reply.send(message)),
      end: () => carry(() => reply.end()),
      fail: (thrown) => carry(() => reply.fail(thrown)),
      room: () => queue.then(() => reply.room()),
    }
  }

  const member = (name: string): Bus => {
    /** Brings what was asked to the inner bus, or not: then the deadline ends it. */
    const travel = async (deadlineMs: number): Promise<void> => {
      const lost = rng.chance(faults.lost)
      const ms = delayMs()
      if (lost || ms >= deadlineMs) {
        await clock.sleep(deadlineMs)
        throw new PromhiveError('QUERY_TIMEOUT', `simulated: no answer within ${deadlineMs} ms`, { deadlineMs })
      }
      if (ms > 0) await clock.sleep(ms)
    }
    return {
      publish(subject, message) {
        if (rng.chance(faults.lost)) return
        const copies = rng.chance(faults.duplicated) ? 2 : 1
        // A copy cannot give its buffers away twice.
        const sent = wrap(name, copies === 1 ? message : { body: message.body })
        for (let i = 0; i < copies; i++) later(() => inner.publish(subject, sent))
      },
      subscribe(subject, handler, queue) {
        return inner.subscribe(
          subject,
          (message, reply) => {
            const { from, body } = message.body as Envelope
            if (from !== name && cut(from, name)) return // not even refused: the network is silent
            const plain: BusMessage = message.transfer === undefined ? { body } : { body, transfer: message.transfer }
            handler(plain, troubled(from, name, reply))
          },
          queue,
        )
      },
      async request(subject, message, deadlineMs) {
        const startMs = clock.monotonicMs()
        await travel(deadlineMs)
        return inner.request(subject, wrap(name, message), deadlineMs - (clock.monotonicMs() - startMs))
      },
      async *stream(subject, message, deadlineMs) {
        const startMs = clock.monotonicMs()
        await travel(deadlineMs)
        yield* inner.stream(subject, wrap(name, message), deadlineMs - (clock.monotonicMs() - startMs))
      },
    }
  }

  return {
    faults,
    member,
    partition: (from, to, broken) => void (broken ? cuts.add(`${from} ${to}`) : cuts.delete(`${from} ${to}`)),
  }
}
