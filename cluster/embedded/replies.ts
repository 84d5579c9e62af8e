// The two ends of an answer: what a responder holds (BusReply) and where the answers go.
import { PromhiveError } from '../../src/base/errors.ts'
import type { Clock, Timer } from '../../src/ports/clock.ts'
import type { BusMessage, BusReply } from '../ports.ts'

/** A BusReply that tells when the other side goes. */
export interface ReplyTarget extends BusReply {
  /** Calls back once, at once where it has gone already. */
  onUnwanted(tell: () => void): void
}

/** Answers a reader has not taken yet before `room` makes responders wait, and before a stream that does not wait is failed. */
export const windowMessages = 32
const aheadMessagesMax = 16_384

/** For messages that want no answer. */
export const noReply: ReplyTarget = {
  wanted: false,
  send: () => {},
  end: () => {},
  fail: () => {},
  room: () => Promise.resolve(),
  onUnwanted: (tell) => tell(),
}

/** Several responders of one question: the first that says anything is heard, the others are told that nobody wants them. */
export function claims(target: ReplyTarget, responders: number): ReplyTarget[] {
  if (responders === 1) return [target]
  let owner: ReplyTarget | null = null
  const silenced = new Map<ReplyTarget, (() => void)[]>()
  let silent = 0
  const claim = (self: ReplyTarget): boolean => {
    if (owner === null) {
      owner = self
      for (const [other, tells] of silenced) if (other !== self) for (const tell of tells.splice(0)) tell()
    }
    return owner === self
  }
  return Array.from({ length: responders }, () => {
    const self: ReplyTarget = {
      get wanted() {
        return target.wanted && (owner === null || owner === self)
      },
      send: (message) => void (claim(self) && target.send(message)),
      end: () => void (claim(self) && target.end()),
      fail(thrown) {
        // One that fails does not speak for the others, unless it is the last.
        if (owner === self || (owner === null && ++silent === responders)) target.fail(thrown)
      },
      room: () => (self.wanted ? target.room() : Promise.resolve()),
      onUnwanted(tell) {
        if (!self.wanted) return tell()
        let told = false
        const once = (): void => {
          if (!told) tell()
          told = true
        }
        silenced.get(self)!.push(once)
        target.onUnwanted(once)
      },
    }
    silenced.set(self, [])
    return self
  })
}

/** The asking end: answers in the order they came, with a deadline. */
export class Answers implements ReplyTarget {
  wanted = true
  readonly #timer: Timer
  readonly #ready: BusMessage[] = []
  #ended = false
  #failure: unknown = null
  #wake: (() => void) | null = null
  #rooms: (() => void)[] = []
  #tells: (() => void)[] = []

  constructor(clock: Clock, subject: string, deadlineMs: number) {
    this.#timer = clock.after(deadlineMs, () =>
      this.#finish(new PromhiveError('QUERY_TIMEOUT', `cannot ask ${subject}: no answer within ${deadlineMs} ms`, { subject, deadlineMs })),
    )
  }

  send(message: BusMessage): void {
    if (!this.wanted) return
    if (this.#ready.length >= aheadMessagesMax)
      return this.#finish(new PromhiveError('QUERY_LIMIT', `the responder is ${aheadMessagesMax} answers ahead of the reader`, {}))
    this.#ready.push(message)
    this.#wakeUp()
  }
  end(): void {
    if (this.wanted) this.#finish(null)
  }
  fail(thrown: unknown): void {
    if (this.wanted) this.#finish(thrown)
  }
  room(): Promise<void> {
    if (!this.wanted || this.#ready.length < windowMessages) return Promise.resolve()
    return new Promise((resolve) => this.#rooms.push(resolve))
  }
  onUnwanted(tell: () => void): void {
    if (this.wanted) this.#tells.push(tell)
    else tell()
  }

  /** The next answer; null at the end; throws what the responder failed with, after the answers before it. */
  async next(): Promise<BusMessage | null> {
    for (;;) {
      const message = this.#ready.shift()
      if (message !== undefined) {
        if (this.#rooms.length > 0 && this.#ready.length < windowMessages) for (const resolve of this.#rooms.splice(0)) resolve()
        return message
      }
      if (this.#ended) {
        if (this.#failure !== null) throw this.#failure
        return null
      }
      await new Promise<void>((resolve) => (this.#wake = resolve))
    }
  }
  /** Nobody reads on: responders are told. */
  leave(): void {
    if (this.wanted) this.#finish(null)
  }

  #finish(failure: unknown): void {
    this.wanted = false
    this.#ended = true
    this.#failure = failure
    this.#timer.cancel()
    for (const resolve of this.#rooms.splice(0)) resolve()
    for (const tell of this.#tells.splice(0)) tell()
    this.#wakeUp()
  }
  #wakeUp(): void {
    const wake = this.#wake
    this.#wake = null
    wake?.()
  }
}

/** `request` and `stream` over something that brings a question to its responders. */
export async function askOne(clock: Clock, subject: string, deadlineMs: number, ask: (target: ReplyTarget) => void): Promise<BusMessage> {
  const answers = new Answers(clock, subject, deadlineMs)
  try {
    ask(answers)
    const answer = await answers.next()
    if (answer === null) throw new PromhiveError('UNAVAILABLE', `cannot ask ${subject}: the responder ended without an answer`, { subject })
    return answer
  } finally {
    answers.leave()
  }
}

export async function* askMany(
  clock: Clock,
  subject: string,
  deadlineMs: number,
  ask: (target: ReplyTarget) => void,
): AsyncGenerator<BusMessage, void, undefined> {
  const answers = new Answers(clock, subject, deadlineMs)
  try {
    ask(answers)
    for (let message = await answers.next(); message !== null; message = await answers.next()) yield message
  } finally {
    answers.leave()
  }
}
