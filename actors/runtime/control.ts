// The control plane of one node on the Bus: typed questions out, answers to those it is asked. A bounded number of questions is open at a time,
// each has a deadline, and all are counted. Asking its own node is no special case, so that a question may later go to any node.
import { messageOf, PromhiveError } from '../../src/base/errors.ts'
import { limits } from '../../src/base/limits.ts'
import type { Logger } from '../../src/base/logger.ts'
import type { MetricsRegistry } from '../../src/base/metrics.ts'
import type { Bus } from '../../cluster/ports.ts'
import { subjectOf, type Channel } from '../../protocols/bus/control.ts'

export type ControlParts = Readonly<{ bus: Bus; node: string; logger: Logger; metrics: MetricsRegistry }>

/** Status pages are answered from memory. */
const answerDeadlineMs = 10_000
/** A configuration is taken when evaluations and requests that run under the old one have ended. */
export const assignDeadlineMs = 300_000

export class ControlPlane {
  readonly node: string
  readonly #parts: ControlParts
  readonly #answered
  readonly #failed
  #open = 0

  constructor(parts: ControlParts) {
    this.#parts = parts
    this.node = parts.node
    const { metrics } = parts
    this.#answered = metrics.counter('promhive_control_requests_total', 'Questions and orders this node was sent over the bus.', [
      'channel',
    ])
    this.#failed = metrics.counter('promhive_control_requests_failed_total', 'Those of them that were refused or failed.', ['channel'])
  }

  /** Answers what comes on a channel. A PromhiveError goes back to the asker; anything else is a bug, and is told here as well. Returns the way out. */
  answer<Q, A>(channel: Channel<Q, A>, handler: (question: Q) => A | Promise<A>): () => void {
    const { bus, logger } = this.#parts
    const answered = this.#answered.labels(channel.name)
    const failed = this.#failed.labels(channel.name)
    return bus.subscribe(subjectOf(this.node, channel), (message, reply) => {
      answered.inc()
      const fail = (thrown: unknown): void => {
        failed.inc()
        if (!(thrown instanceof PromhiveError))
          logger.error(
            { channel: channel.name, err: messageOf(thrown), stack: thrown instanceof Error ? thrown.stack : '' },
            'BUG: a question failed',
          )
        if (reply.wanted) reply.fail(thrown)
      }
      if (this.#open >= limits.mailboxMessagesMax) {
        const open = this.#open
        fail(new PromhiveError('UNAVAILABLE', `cannot answer ${channel.name}: ${open} questions are open`, { channel: channel.name, open }))
        return
      }
      this.#open++
      const work = async (): Promise<A> => handler(message.body as Q)
      work()
        .then((body) => reply.wanted && reply.send({ body }), fail)
        .finally(() => this.#open--)
    })
  }

  /** Asks a node; its own by default. Rejects with what the node failed of, UNAVAILABLE where nobody answers, QUERY_TIMEOUT after the deadline. */
  async ask<Q, A>(channel: Channel<Q, A>, question: Q, deadlineMs = answerDeadlineMs, node = this.node): Promise<A> {
    return (await this.#parts.bus.request(subjectOf(node, channel), { body: question }, deadlineMs)).body as A
  }

  /** Tells a node without waiting for it. */
  tell<Q>(channel: Channel<Q, null>, news: Q, node = this.node): void {
    this.#parts.bus.publish(subjectOf(node, channel), { body: news })
  }
}
