// What waits for one actor: messages from the Bus as events, bounded. Also what its askers are still owed.
import { PromhiveError } from '../../src/base/errors.ts'
import { limits } from '../../src/base/limits.ts'
import type { Bus, BusMessage, BusReply } from '../../cluster/ports.ts'

export type MailboxOptions<E> = Readonly<{
  subject: string
  /** Share the messages with the other members of this queue group. */
  queue?: string
  /** The event a message stands for; null: not understood. The machine answers through `reply`, now or later. */
  event: (message: BusMessage, reply: BusReply) => E | null
  /** Default: limits.mailboxMessagesMax. */
  messagesMax?: number
}>

export class Mailbox<E> {
  readonly #waiting: { event: E; reply: TrackedReply }[] = []
  /** Replies handed to the machine and not yet ended. */
  readonly #owed = new Set<TrackedReply>()
  readonly #unsubscribe: () => void

  constructor(bus: Bus, id: string, options: MailboxOptions<E>, arrived: () => void, refused: () => void) {
    const messagesMax = options.messagesMax ?? limits.mailboxMessagesMax
    this.#unsubscribe = bus.subscribe(
      options.subject,
      (message, inner) => {
        if (this.#waiting.length >= messagesMax) {
          refused()
          inner.fail(
            new PromhiveError('UNAVAILABLE', `cannot take a message for ${id}: ${messagesMax} are waiting`, { actor: id, messagesMax }),
          )
          return
        }
        const reply = new TrackedReply(inner, this.#owed)
        const event = options.event(message, reply)
        if (event === null) {
          refused()
          inner.fail(new PromhiveError('BAD_REQUEST', `cannot take a message for ${id}: not understood`, { actor: id }))
          return
        }
        this.#waiting.push({ event, reply })
        arrived()
      },
      options.queue,
    )
  }

  get length(): number {
    return this.#waiting.length
  }

  take(): E | undefined {
    const next = this.#waiting.shift()
    if (next === undefined) return undefined
    next.reply.track()
    return next.event
  }

  /** The machine that held them has gone: its askers are told instead of left waiting. */
  failOwed(why: string): void {
    for (const reply of this.#owed) reply.fail(new PromhiveError('UNAVAILABLE', why))
    this.#owed.clear()
  }

  close(why: string): void {
    this.#unsubscribe()
    this.failOwed(why)
    for (const { reply } of this.#waiting.splice(0)) reply.fail(new PromhiveError('UNAVAILABLE', why))
  }
}

/** A reply that is remembered until it is ended. */
class TrackedReply implements BusReply {
  readonly #inner: BusReply
  readonly #owed: Set<TrackedReply>
  constructor(inner: BusReply, owed: Set<TrackedReply>) {
    this.#inner = inner
    this.#owed = owed
  }
  track(): void {
    if (!this.#inner.wanted) return
    // Askers that gave up are forgotten now and then; with that the set stays as small as what is really open.
    if (this.#owed.size >= limits.mailboxMessagesMax) for (const reply of this.#owed) if (!reply.wanted) this.#owed.delete(reply)
    this.#owed.add(this)
  }
  get wanted(): boolean {
    return this.#inner.wanted
  }
  send(message: BusMessage): void {
    this.#inner.send(message)
    if (!this.#inner.wanted) this.#owed.delete(this)
  }
  room(): Promise<void> {
    return this.#inner.room()
  }
  end(): void {
    this.#owed.delete(this)
    this.#inner.end()
  }
  fail(thrown: unknown): void {
    this.#owed.delete(this)
    this.#inner.fail(thrown)
  }
}
