// One request and its answer over a connection of undici's: the body is gathered into one buffer, once, without streams.
import type { Dispatcher } from 'undici'
import type { Cancellation } from '../../base/cancel.ts'
import type { PromhiveError } from '../../base/errors.ts'
import { BodyBuffer, BodyMemory } from '../body-buffer.ts'
import { canceledError, deadlineError, tooLarge } from './http-errors.ts'

/** `packed`: the body is gzip and lies in this buffer, to be freed when it was unpacked. */
export type RawAnswer = { status: number; headers: Record<string, string>; body: Uint8Array<ArrayBuffer>; packed?: BodyBuffer }

/** Memory for bodies that are unpacked into another buffer. */
export const packedMemory = new BodyMemory()

/**
 * One timer for all requests under way. It is set for the one that is due first and then looks who is next: requests that end in time, nearly all of
 * them, leave it alone.
 */
class DeadlineTimer {
  readonly #waiting = new Set<Deadline>()
  #timer: NodeJS.Timeout | null = null
  /** performance.now() at which it fires. */
  #firesMs = Infinity

  add(deadline: Deadline): void {
    this.#waiting.add(deadline)
    if (deadline.dueMs < this.#firesMs) this.#set(deadline.dueMs)
    else if (this.#waiting.size === 1) this.#timer!.ref()
  }

  remove(deadline: Deadline): void {
    // a program that only waits for it may end
    if (this.#waiting.delete(deadline) && this.#waiting.size === 0) this.#timer?.unref()
  }

  #set(dueMs: number): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#firesMs = dueMs
    this.#timer = setTimeout(() => this.#fire(), Math.min(Math.max(1, Math.ceil(dueMs - performance.now())), 2 ** 31 - 1))
  }

  #fire(): void {
    this.#timer = null
    this.#firesMs = Infinity
    const now = performance.now()
    const over: Deadline[] = []
    let next = Infinity
    for (const deadline of this.#waiting) {
      if (deadline.dueMs <= now) over.push(deadline)
      else next = Math.min(next, deadline.dueMs)
    }
    for (const deadline of over) this.#waiting.delete(deadline)
    if (next < Infinity) this.#set(next)
    for (const deadline of over) deadline.pass()
  }
}

const deadlines = new DeadlineTimer()

/** The time a request has for everything: connecting, credentials, redirects, the body. At most one listener. */
export class Deadline {
  /** Why no more should be done; null while there is time. */
  over: PromhiveError | null = null
  /** Called once, when time runs out or the caller gives up. */
  onOver: ((why: PromhiveError) => void) | null = null
  /** performance.now() at which time runs out. */
  readonly dueMs: number
  readonly #signal: Cancellation | undefined
  readonly #abort = (): void => this.#end(canceledError())

  constructor(timeoutMs: number, signal: Cancellation | undefined) {
    this.dueMs = performance.now() + timeoutMs
    this.#signal = signal
    deadlines.add(this)
    if (signal?.aborted === true) this.over = canceledError()
    else signal?.addEventListener('abort', this.#abort)
  }
  /** Time has run out. */
  pass(): void {
    this.#end(deadlineError())
  }
  #end(why: PromhiveError): void {
    if (this.over !== null) return
    this.over = why
    this.onOver?.(why)
  }
  /** Rejects when the time is over before the promise settles. */
  async within<T>(promise: Promise<T>): Promise<T> {
    if (this.over !== null) throw this.over
    try {
      return await Promise.race([promise, new Promise<never>((_, reject) => (this.onOver = reject))])
    } finally {
      this.onOver = null
    }
  }
  done(): void {
    deadlines.remove(this)
    this.#signal?.removeEventListener('abort', this.#abort)
    this.onOver = null
  }
}

/**
 * @param bodyBytesMax of the body as it comes over the wire; the answer fails with TOO_LARGE beyond.
 * @param into takes the body unless it is gzip; undefined: the answer has memory of its own.
 * @throws what undici or the socket said, or a PromhiveError for time and size. `ExchangeError.started` tells whether an answer had begun.
 */
export function exchange(
  dispatcher: Dispatcher,
  options: Dispatcher.DispatchOptions,
  bodyBytesMax: number,
  into: BodyBuffer | undefined,
  deadline: Deadline,
): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    if (deadline.over !== null) return reject(deadline.over)
    dispatcher.dispatch(options, new Exchange(bodyBytesMax, into, deadline, resolve, reject))
  })
}

/** A connection that broke. */
export class ExchangeError extends Error {
  override readonly name = 'ExchangeError'
  /** Something of the answer had arrived. */
  readonly started: boolean
  constructor(cause: Error, started: boolean) {
    super(cause.message, { cause })
    this.started = started
  }
}

const empty = new Uint8Array(0)

class Exchange implements Dispatcher.DispatchHandler {
  readonly #bodyBytesMax: number
  readonly #deadline: Deadline
  readonly #resolve: (answer: RawAnswer) => void
  readonly #reject: (thrown: unknown) => void
  #controller: Dispatcher.DispatchController | null = null
  #answer: RawAnswer | null = null
  #failed: Error | null = null
  #settled = false
  #body: BodyBuffer
  /** What Content-Length says; −1 without one. */
  #announced = -1

  constructor(
    bodyBytesMax: number,
    into: BodyBuffer | undefined,
    deadline: Deadline,
    resolve: (answer: RawAnswer) => void,
    reject: (thrown: unknown) => void,
  ) {
    this.#bodyBytesMax = bodyBytesMax
    this.#deadline = deadline
    this.#resolve = resolve
    this.#reject = reject
    into?.clear()
    this.#body = into ?? new BodyBuffer()
    deadline.onOver = (why) => this.#fail(why)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    // Given up while it waited for a connection: throwing here drops the request and keeps the connection.
    if (this.#failed !== null) throw this.#failed
    this.#controller = controller
  }
  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: Record<string, string | string[] | undefined>): void {
    if (status < 200 || this.#settled) return
    const flat: Record<string, string> = {}
    for (const name in headers) {
      const value = headers[name]
      if (value !== undefined) flat[name] = typeof value === 'string' ? value : value.join(', ')
    }
    this.#answer = { status, headers: flat, body: empty }
    const announced = Number(flat['content-length'] ?? NaN)
    if (announced > this.#bodyBytesMax) return this.#fail(tooLarge(this.#bodyBytesMax))
    if (flat['content-encoding']?.toLowerCase() === 'gzip') this.#answer.packed = this.#body = packedMemory.buffer()
    if (!(announced >= 0)) return
    this.#announced = announced
    this.#body.reserve(announced)
  }
  onResponseData(_: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#settled) return
    const received = this.#body.length + chunk.length
    if (received > this.#bodyBytesMax) return this.#fail(tooLarge(this.#bodyBytesMax))
    if (this.#announced >= 0 && received > this.#announced) return this.#fail(new Error('body longer than its Content-Length'))
    this.#body.append(chunk, 0, chunk.length)
  }
  onResponseEnd(): void {
    if (this.#settled) return
    const answer = this.#answer!
    if (this.#body.length < this.#announced) return this.onResponseError(null, new Error('unexpected EOF'))
    answer.body = this.#body.view()
    this.#settle()
    this.#resolve(answer)
  }
  onResponseError(_: Dispatcher.DispatchController | null, error: Error): void {
    if (this.#settled) return
    this.#settle()
    this.#answer?.packed?.free()
    this.#reject(this.#failed ?? new ExchangeError(error, this.#answer !== null))
  }

  #fail(why: Error): void {
    if (this.#settled) return
    this.#failed = why
    this.#settle()
    this.#answer?.packed?.free()
    this.#controller?.abort(why)
    this.#reject(this.#answer === null ? why : new ExchangeError(why, true))
  }
  #settle(): void {
    this.#settled = true
    this.#deadline.onOver = null
  }
}
