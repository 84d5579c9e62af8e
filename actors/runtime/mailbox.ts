// What waits for one actor, bounded: events from within the process, and messages from the Bus as events. Also what its askers are still owed.
import { PromhiveError } from '../../src/base/errors.ts'
import { limits } from '../../src/base/limits.ts'
import type { Bus, BusMessage, BusReply } from '../../cluster/ports.ts'

export type MailboxOptions<E> = Readonly<{
  subject: string
  /** Share the messages with the other members of this queue group. */
  queue?: string
  /** The event a message stands for; null: not understood. The machine answers through `reply`, now or later. */
  event: (message: BusMessage, reply: BusReply) => E | null
}>

type Waiting<E> = Readonly<{ event: E; reply: TrackedReply | null }>

/** Costs next to nothing while nothing waits: there is one for every target. */
export class Mailbox<E> {
  readonly #messagesMax: number
  #waiting: Waiting<E>[] | null = null
  /** Replies handed to the machine and not yet ended. */
  #owed: Set<TrackedReply> | null = null
  #unsubscribe: (() => void) | null = null

  constructor(messagesMax: number = limits.mailboxMessagesMax) {
    this.#messagesMax = messagesMax
  }

  get length(): number {
    return this.#waiting?.length ?? 0
  }

  /** False where too many wait already. */
  post(event: E): boolean {
    if (this.length >= this.#messagesMax) return false
    ;(this.#waiting ??= []).push({ event, reply: null })
    return true
  }

  /** Takes messages from the Bus as well, until it is closed. */
  listen(bus: Bus, id: string, options: MailboxOptions<E>, arrived: () => void, refused: () => void): void {
    const owed = (this.#owed = new Set())
    this.#unsubscribe = bus.subscribe(
      options.subject,
      (message, inner) => {
        const messagesMax = this.#messagesMax
        if (this.length >= messagesMax) {
          refused()
          inner.fail(
            new PromhiveError('UNAVAILABLE', `cannot take a message for ${id}: ${messagesMax} are waiting`, { actor: id, messagesMax }),
          )
          return
        }
        const reply = new TrackedReply(inner, owed)
        const event = options.event(message, reply)
        if (event === null) {
          refused()
          inner.fail(new PromhiveError('BAD_REQUEST', `cannot take a message for ${id}: not understood`, { actor: id }))
          return
        }
        ;(this.#waiting ??= []).push({ event, reply })
        arrived()
      },
      options.queue,
    )
  }

  take(): E | undefined {
    const next = this.#waiting?.shift()
    if (next === undefined) return undefined
    next.reply?.track()
    return next.event
  }

  /** The machine that held them has gone: its askers are told instead of left waiting. */
  failOwed(why: string): void {
    if (this.#owed === null) return
    for (const reply of this.#owed) reply.fail(new PromhiveError('UNAVAILABLE', why))
    this.#owed.clear()
  }

  close(why: string): void {
    this.#unsubscribe?.()
    this.failOwed(why)
    for (const { reply } of this.#waiting?.splice(0) ?? []) reply?.fail(new PromhiveError('UNAVAILABLE', why))
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
