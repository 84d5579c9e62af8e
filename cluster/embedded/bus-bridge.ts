// Two threads of one Bus. The hub knows who listens; a leaf tells it what it listens to and sends everything through it.
// Messages with buffers to transfer move them; what was transferred to us can be transferred on.
//
//   leaf                                   hub
//   listen(id, subject, queue) ──────────▶ subscribes in the leaf's name
//   message(subject, question 7) ────────▶ delivers to whoever listens
//                          ◀────────────── answer(7, …), end(7), fail(7)
//   unwanted(7), credit(7, n) ───────────▶ nobody reads on; n answers were taken
//                          ◀────────────── message(id, question 3)        the same the other way round
//                          ◀────────────── ping: pong says that everything before it has been received
import { PromhiveError, type ErrorCode } from '../../src/base/errors.ts'
import type { Clock } from '../../src/ports/clock.ts'
import type { LanePort } from '../../src/ports/compute.ts'
import type { Bus, BusMessage } from '../ports.ts'
import { checkSubject } from './subjects.ts'
import { askMany, askOne, noReply, windowMessages, type ReplyTarget } from './replies.ts'

type To = string | number
type Frame =
  | Readonly<{ kind: 'message'; to: To; question: number; body: unknown; transfer?: readonly ArrayBuffer[] | undefined }>
  | Readonly<{ kind: 'answer'; question: number; body: unknown; transfer?: readonly ArrayBuffer[] | undefined }>
  | Readonly<{ kind: 'end'; question: number }>
  | Readonly<{ kind: 'fail'; question: number; error: PortableError }>
  | Readonly<{ kind: 'unwanted'; question: number }>
  | Readonly<{ kind: 'credit'; question: number; count: number }>
  | Readonly<{ kind: 'listen'; id: number; subject: string; queue: string | null }>
  | Readonly<{ kind: 'unlisten'; id: number }>
  | Readonly<{ kind: 'ping' | 'pong' }>

/** `In`: what messages from over there are addressed to. */
export type BridgeEvents<In extends To> = Readonly<{
  onMessage: (to: In, message: BusMessage, reply: ReplyTarget) => void
  onListen?: (id: number, subject: string, queue: string | null) => void
  onUnlisten?: (id: number) => void
}>

/** One end of a port between two threads. */
export class Bridge<In extends To> {
  readonly #port: LanePort
  readonly #events: BridgeEvents<In>
  /** Questions we sent over, and where their answers go. */
  readonly #asked = new Map<number, ReplyTarget>()
  /** Questions that came over, and what their responders hold. */
  readonly #answering = new Map<number, RemoteReply>()
  #questions = 0
  #pings: { resolve: () => void; reject: (thrown: unknown) => void }[] = []
  #closed = false

  constructor(port: LanePort, events: BridgeEvents<In>) {
    this.#port = port
    this.#events = events
    port.onMessage((frame) => this.#receive(frame as Frame))
  }

  /** @param to a subject (towards the hub) or the id of a listener (towards a leaf). Throws where the body cannot be cloned. */
  send(to: To, message: BusMessage, reply: ReplyTarget): void {
    if (this.#closed) return reply.fail(gone())
    if (reply === noReply) return this.#post({ kind: 'message', to, question: 0, body: message.body, transfer: message.transfer })
    const question = ++this.#questions
    this.#asked.set(question, reply)
    try {
      this.#post({ kind: 'message', to, question, body: message.body, transfer: message.transfer })
    } catch (thrown) {
      this.#asked.delete(question)
      throw thrown
    }
    reply.onUnwanted(() => {
      if (this.#asked.delete(question)) this.#post({ kind: 'unwanted', question })
    })
  }

  /** Resolves when everything the other side has sent so far was received here. */
  level(): Promise<void> {
    const level = new Promise<void>((resolve, reject) => this.#pings.push({ resolve, reject }))
    level.catch(() => {}) // whoever does not wait for it learns of the end elsewhere
    this.#post({ kind: 'ping' })
    return level
  }

  listen(id: number, subject: string, queue: string | null): void {
    this.#post({ kind: 'listen', id, subject, queue })
  }
  unlisten(id: number): void {
    this.#post({ kind: 'unlisten', id })
  }

  /** The other thread has gone: what it was asked fails, what it asked is wanted no more. */
  close(): void {
    this.#closed = true
    for (const reply of this.#asked.values()) reply.fail(gone())
    this.#asked.clear()
    for (const { reject } of this.#pings.splice(0)) reject(gone())
    for (const reply of this.#answering.values()) reply.drop()
    this.#answering.clear()
  }

  #post(frame: Frame): void {
    if (this.#closed) return
    this.#port.send(frame, 'transfer' in frame ? frame.transfer : undefined)
  }

  #receive(frame: Frame): void {
    if (this.#closed) return
    switch (frame.kind) {
      case 'message': {
        const message = received(frame)
        if (frame.question === 0) return this.#events.onMessage(frame.to as In, message, noReply)
        const reply = new RemoteReply((answer) => {
          if (answer.kind !== 'answer') this.#answering.delete(frame.question)
          this.#post({ ...answer, question: frame.question })
        })
        this.#answering.set(frame.question, reply)
        return this.#events.onMessage(frame.to as In, message, reply)
      }
      case 'answer': {
        const reply = this.#asked.get(frame.question)
        if (reply === undefined) return
        reply.send(received(frame))
        void reply.room().then(() => {
          if (this.#asked.has(frame.question)) this.#post({ kind: 'credit', question: frame.question, count: 1 })
        })
        return
      }
      case 'end':
      case 'fail': {
        const reply = this.#asked.get(frame.question)
        this.#asked.delete(frame.question)
        if (frame.kind === 'end') reply?.end()
        else reply?.fail(fromPortable(frame.error))
        return
      }
      case 'unwanted':
        this.#answering.get(frame.question)?.drop()
        this.#answering.delete(frame.question)
        return
      case 'credit':
        this.#answering.get(frame.question)?.credit(frame.count)
        return
      case 'listen':
        this.#events.onListen?.(frame.id, frame.subject, frame.queue)
        return
      case 'unlisten':
        this.#events.onUnlisten?.(frame.id)
        return
      case 'ping':
        this.#post({ kind: 'pong' })
        return
      case 'pong':
        this.#pings.shift()?.resolve()
    }
  }
}

function received(frame: Readonly<{ body: unknown; transfer?: readonly ArrayBuffer[] | undefined }>): BusMessage {
  return frame.transfer === undefined ? { body: frame.body } : { body: frame.body, transfer: frame.transfer }
}

type Unsent<F> = F extends unknown ? Omit<F, 'question'> : never

/** What a responder holds when the question came from the other thread. */
class RemoteReply implements ReplyTarget {
  wanted = true
  readonly #post: (frame: Unsent<Extract<Frame, { kind: 'answer' | 'end' | 'fail' }>>) => void
  #outstanding = 0
  #rooms: (() => void)[] = []
  #tells: (() => void)[] = []

  constructor(post: (frame: Unsent<Extract<Frame, { kind: 'answer' | 'end' | 'fail' }>>) => void) {
    this.#post = post
  }
  send(message: BusMessage): void {
    if (!this.wanted) return
    this.#outstanding++
    this.#post({ kind: 'answer', body: message.body, transfer: message.transfer })
  }
  end(): void {
    if (!this.wanted) return
    this.#post({ kind: 'end' })
    this.drop()
  }
  fail(thrown: unknown): void {
    if (!this.wanted) return
    this.#post({ kind: 'fail', error: portable(thrown) })
    this.drop()
  }
  room(): Promise<void> {
    if (!this.wanted || this.#outstanding < windowMessages) return Promise.resolve()
    return new Promise((resolve) => this.#rooms.push(resolve))
  }
  onUnwanted(tell: () => void): void {
    if (this.wanted) this.#tells.push(tell)
    else tell()
  }
  credit(count: number): void {
    this.#outstanding -= count
    if (this.#outstanding < windowMessages) for (const resolve of this.#rooms.splice(0)) resolve()
  }
  /** Nobody wants more. */
  drop(): void {
    this.wanted = false
    for (const resolve of this.#rooms.splice(0)) resolve()
    for (const tell of this.#tells.splice(0)) tell()
  }
}

/**
 * The Bus of a thread that was started with a port to the hub. Everything goes through the hub, the thread's own subscriptions included.
 * @param onHandlerError see embeddedBus.
 */
export function leafBus(port: LanePort, clock: Clock, onHandlerError: (thrown: unknown) => void): Bus {
  const handlers = new Map<number, (message: BusMessage, reply: ReplyTarget) => void>()
  let ids = 0
  const bridge = new Bridge<number>(port, {
    onMessage(id, message, reply) {
      const handler = handlers.get(id)
      if (handler === undefined) return reply.fail(new PromhiveError('UNAVAILABLE', 'the responder has gone', {}))
      try {
        handler(message, reply)
      } catch (thrown) {
        if (reply.wanted) reply.fail(thrown)
        else onHandlerError(thrown)
      }
    },
  })
  const ask = (subject: string, message: BusMessage, target: ReplyTarget): void => {
    checkSubject(subject)
    bridge.send(subject, message, target)
  }
  return {
    publish(subject, message) {
      checkSubject(subject)
      bridge.send(subject, message, noReply)
    },
    subscribe(subject, handler, queue) {
      const id = ++ids
      handlers.set(id, handler)
      bridge.listen(id, subject, queue ?? null)
      return () => {
        if (handlers.delete(id)) bridge.unlisten(id)
      }
    },
    request: (subject, message, deadlineMs) => askOne(clock, subject, deadlineMs, (target) => ask(subject, message, target)),
    stream: (subject, message, deadlineMs) => askMany(clock, subject, deadlineMs, (target) => ask(subject, message, target)),
  }
}

function gone(): PromhiveError {
  return new PromhiveError('UNAVAILABLE', 'the thread that was asked has ended', {})
}

type PortableError = Readonly<{ code: ErrorCode; message: string; detail: Readonly<Record<string, unknown>> }>

/** Errors lose their class in a structured clone: what crosses is code, message and plain details. */
function portable(thrown: unknown): PortableError {
  if (!(thrown instanceof PromhiveError))
    return { code: 'INTERNAL', message: thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown), detail: {} }
  let detail: Readonly<Record<string, unknown>> = {}
  try {
    detail = structuredClone(thrown.detail)
  } catch {
    // details that cannot cross stay behind
  }
  return { code: thrown.code, message: thrown.message, detail }
}

function fromPortable(error: PortableError): PromhiveError {
  return new PromhiveError(error.code, error.message, error.detail)
}
