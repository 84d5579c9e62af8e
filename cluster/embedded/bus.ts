// The Bus of one process. Messages are delivered in the order they were sent, never within the call that sends them; bodies are handed over as they
// are, without a copy. Other threads join by a bridge (bus-bridge.ts): this is the hub, they are leaves.
import { PromhiveError } from '../../src/base/errors.ts'
import type { Clock } from '../../src/ports/clock.ts'
import type { LanePort } from '../../src/ports/compute.ts'
import type { Bus, BusMessage, BusReply } from '../ports.ts'
import { Bridge } from './bus-bridge.ts'
import { askMany, askOne, claims, noReply, type ReplyTarget } from './replies.ts'
import { Subjects, type Listener } from './subjects.ts'

export interface EmbeddedBus extends Bus {
  /** Lets in the thread at the other end of the port, which calls `leafBus`. */
  join(port: LanePort): Membership
}

export type Membership = Readonly<{
  /** Resolves when what the thread subscribed to so far is known here; UNAVAILABLE where it is cut off before. */
  joined: Promise<void>
  /** Cuts the thread off: what it owed is failed. To be called when it has ended, too. */
  cut(): void
}>

/** Delivered in one go before the thread may do something else. */
const deliveriesPerTurn = 2048

type Handler = (message: BusMessage, reply: ReplyTarget) => void
type Delivery = { subject: string; message: BusMessage; target: ReplyTarget }

/** @param onHandlerError what to do with an error of a handler that nobody waits for; default: let it be an uncaught error. */
export function embeddedBus(clock: Clock, onHandlerError: (thrown: unknown, subject: string) => void = uncaught): EmbeddedBus {
  const subjects = new Subjects<Handler>()
  let queue: Delivery[] = []
  let head = 0
  let scheduled = false

  const send = (subject: string, message: BusMessage, target: ReplyTarget): void => {
    subjects.audience(subject) // a bad subject is its sender's bug
    queue.push({ subject, message, target })
    if (scheduled) return
    scheduled = true
    queueMicrotask(drain)
  }
  const drain = (): void => {
    for (let left = deliveriesPerTurn; head < queue.length && left > 0; left--) deliver(queue[head++]!)
    if (head === queue.length) {
      queue = []
      head = 0
      scheduled = false
      return
    }
    if (head > queue.length / 2) {
      queue = queue.slice(head)
      head = 0
    }
    clock.after(0, drain) // sockets and timers first
  }
  const deliver = ({ subject, message, target }: Delivery): void => {
    if (target !== noReply && !target.wanted) return // given up while it waited
    const { plain, queues } = subjects.audience(subject)
    const receivers: Listener<Handler>[] = plain.slice()
    for (const group of queues) receivers.push(group.members[group.turn++ % group.members.length]!)
    if (receivers.length === 0) return target.fail(new PromhiveError('UNAVAILABLE', `cannot ask ${subject}: nobody listens`, { subject }))
    // Buffers can be given away to one receiver only.
    const given = receivers.length === 1 || message.transfer === undefined ? message : { body: message.body }
    const replies = target === noReply ? null : claims(target, receivers.length)
    receivers.forEach((receiver, i) => {
      const reply = replies === null ? noReply : replies[i]!
      try {
        if (receiver.active) receiver.handler(given, reply)
        else reply.fail(new PromhiveError('UNAVAILABLE', `cannot ask ${subject}: the responder has gone`, { subject }))
      } catch (thrown) {
        if (reply.wanted) reply.fail(thrown)
        else onHandlerError(thrown, subject)
      }
    })
  }
  const listen = (subject: string, handler: Handler, group: string | null): (() => void) => {
    const listener = subjects.add(subject, handler, group)
    return () => subjects.remove(listener)
  }

  return {
    publish: (subject, message) => send(subject, message, noReply),
    subscribe: (subject, handler: (message: BusMessage, reply: BusReply) => void, group) => listen(subject, handler, group ?? null),
    request: (subject, message, deadlineMs) => askOne(clock, subject, deadlineMs, (target) => send(subject, message, target)),
    stream: (subject, message, deadlineMs) => askMany(clock, subject, deadlineMs, (target) => send(subject, message, target)),
    join(port) {
      const cancels = new Map<number, () => void>()
      const bridge = new Bridge<string>(port, {
        onMessage: send,
        onListen: (id, subject, group) =>
          void cancels.set(
            id,
            listen(subject, (message, reply) => bridge.send(id, message, reply), group),
          ),
        onUnlisten(id) {
          cancels.get(id)?.()
          cancels.delete(id)
        },
      })
      return {
        joined: bridge.level(),
        cut() {
          for (const cancel of cancels.values()) cancel()
          cancels.clear()
          bridge.close()
        },
      }
    },
  }
}

function uncaught(thrown: unknown): void {
  queueMicrotask(() => {
    throw thrown
  })
}
