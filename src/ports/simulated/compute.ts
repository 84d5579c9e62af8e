// Lanes that run inline, in the same thread. What crosses is cloned and moved as between threads, later but within the same turn, in order.
import { PromhiveError, messageOf } from '../../base/errors.ts'
import type { Compute, LanePort } from '../compute.ts'

export interface SimulatedCompute extends Compute {
  /** The lane ends as if its thread had died. */
  kill(id: number, why: string): void
}

export function simulatedCompute(lanes = 2): SimulatedCompute {
  const running = new Map<number, (why: string) => void>()
  let ids = 0
  return {
    lanesDefault: lanes,
    async start(entry, setup, onExit) {
      const id = ++ids
      const [here, there, cut] = pair()
      const exit = (why: string): void => {
        if (!running.delete(id)) return
        cut()
        onExit(why)
      }
      running.set(id, exit)
      await Promise.resolve()
      // as in a thread, what a handler throws ends the lane
      const guarded: LanePort = {
        send: there.send,
        take: there.take,
        onMessage: (handler) =>
          there.onMessage((message) => {
            try {
              handler(message)
            } catch (thrown) {
              exit(messageOf(thrown))
            }
          }),
      }
      try {
        await (entry.inline(guarded, structuredClone(setup)) as unknown)
      } catch (thrown) {
        exit(messageOf(thrown))
        throw new PromhiveError('INTERNAL', `cannot start lane ${id}: ${messageOf(thrown)}`, { lane: id }, thrown)
      }
      return { id, ...here, end: async () => exit('ended') }
    },
    kill: (id, why) => running.get(id)?.(why),
  }
}

/** Two connected ports and the way to cut them. */
function pair(): [LanePort, LanePort, () => void] {
  let open = true
  const side = (): { port: (other: Inbox) => LanePort; inbox: Inbox } => {
    const inbox: Inbox = { waiting: [], handler: null }
    return {
      inbox,
      port: (other) => ({
        send(message, transfer) {
          const crossed = structuredClone(message, { transfer: [...(transfer ?? [])] })
          queueMicrotask(() => open && arrive(other, crossed))
        },
        onMessage(handler) {
          inbox.handler = handler
          queueMicrotask(() => open && arriveAll(inbox))
        },
        take: () => inbox.waiting.shift(),
      }),
    }
  }
  const a = side()
  const b = side()
  return [a.port(b.inbox), b.port(a.inbox), () => void (open = false)]
}

type Inbox = { waiting: unknown[]; handler: ((message: unknown) => void) | null }

function arrive(inbox: Inbox, message: unknown): void {
  inbox.waiting.push(message)
  arriveAll(inbox)
}

function arriveAll(inbox: Inbox): void {
  while (inbox.handler !== null && inbox.waiting.length > 0) inbox.handler(inbox.waiting.shift())
}
