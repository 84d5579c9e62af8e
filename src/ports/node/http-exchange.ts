// One request and its answer over one connection: the body is gathered into one buffer, once, without streams.
import type { Dispatcher } from 'undici'
import { PromhiveError } from '../../base/errors.ts'
import { canceledError, deadlineError } from './http-errors.ts'

export type RawAnswer = { status: number; headers: Record<string, string>; body: Uint8Array<ArrayBuffer> }

/** The time a request has for everything: connecting, credentials, redirects, the body. One timer and at most one listener. */
export class Deadline {
  /** Why no more should be done; null while there is time. */
  over: PromhiveError | null = null
  /** Called once, when time runs out or the caller gives up. */
  onOver: ((why: PromhiveError) => void) | null = null
  readonly #timer: NodeJS.Timeout
  readonly #signal: AbortSignal | undefined
  readonly #abort = (): void => this.#end(canceledError())

  constructor(timeoutMs: number, signal: AbortSignal | undefined) {
    this.#timer = setTimeout(() => this.#end(deadlineError()), Math.min(timeoutMs, 2 ** 31 - 1))
    this.#signal = signal
    if (signal?.aborted === true) this.over = canceledError()
    else signal?.addEventListener('abort', this.#abort)
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
    clearTimeout(this.#timer)
    this.#signal?.removeEventListener('abort', this.#abort)
    this.onOver = null
  }
}

/**
 * @param bodyBytesMax of the body as it comes over the wire; the answer fails with TOO_LARGE beyond.
 * @throws what undici or the socket said, or a PromhiveError for time and size. `ExchangeError.started` tells whether an answer had begun.
 */
export function exchange(
  dispatcher: Dispatcher,
  options: Dispatcher.DispatchOptions,
  bodyBytesMax: number,
  deadline: Deadline,
): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    if (deadline.over !== null) return reject(deadline.over)
    dispatcher.dispatch(options, new Exchange(bodyBytesMax, deadline, resolve, reject))
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
  /** Bytes received. `#whole` takes them where the length was announced, `#chunks` where not. */
  #received = 0
  #whole: Uint8Array<ArrayBuffer> | null = null
  #chunks: Buffer[] = []

  constructor(bodyBytesMax: number, deadline: Deadline, resolve: (answer: RawAnswer) => void, reject: (thrown: unknown) => void) {
    this.#bodyBytesMax = bodyBytesMax
    this.#deadline = deadline
    this.#resolve = resolve
    this.#reject = reject
    deadline.onOver = (why) => this.#fail(why)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    // Given up while it waited for a connection: throwing here drops the request and keeps the connection.
    if (this.#failed !== null) throw this.#failed
    this.#controller = controller
  }
  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: Record<string, string | string[] | undefined>): void {
    if (status < 200) return
    const flat: Record<string, string> = {}
    for (const name in headers) {
      const value = headers[name]
      if (value !== undefined) flat[name] = typeof value === 'string' ? value : value.join(', ')
    }
    this.#answer = { status, headers: flat, body: empty }
    const announced = Number(flat['content-length'] ?? NaN)
    if (announced > this.#bodyBytesMax) return this.#fail(tooLarge(this.#bodyBytesMax))
    // Own memory, not a piece of the socket's 64 KiB slab: callers keep bodies (the layout cache of a scrape).
    if (announced >= 0) this.#whole = new Uint8Array(announced)
  }
  onResponseData(_: Dispatcher.DispatchController, chunk: Buffer): void {
    const before = this.#received
    this.#received += chunk.length
    if (this.#received > this.#bodyBytesMax) return this.#fail(tooLarge(this.#bodyBytesMax))
    if (this.#whole === null) this.#chunks.push(chunk)
    else if (this.#received <= this.#whole.length) this.#whole.set(chunk, before)
    else this.#fail(new Error('body longer than its Content-Length'))
  }
  onResponseEnd(): void {
    if (this.#settled) return
    const answer = this.#answer!
    if (this.#whole === null) answer.body = join(this.#chunks, this.#received)
    else if (this.#received === this.#whole.length) answer.body = this.#whole
    else return this.onResponseError(null, new Error('unexpected EOF'))
    this.#settle()
    this.#resolve(answer)
  }
  onResponseError(_: Dispatcher.DispatchController | null, error: Error): void {
    if (this.#settled) return
    this.#settle()
    this.#reject(this.#failed ?? new ExchangeError(error, this.#answer !== null))
  }

  #fail(why: Error): void {
    if (this.#settled) return
    this.#failed = why
    this.#settle()
    this.#controller?.abort(why)
    this.#reject(this.#answer === null ? why : new ExchangeError(why, true))
  }
  #settle(): void {
    this.#settled = true
    this.#chunks = this.#answer === null || this.#failed !== null ? [] : this.#chunks
    this.#deadline.onOver = null
  }
}

function join(chunks: readonly Buffer[], length: number): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(length)
  let at = 0
  for (const chunk of chunks) {
    whole.set(chunk, at)
    at += chunk.length
  }
  return whole
}

export function tooLarge(bytesMax: number): PromhiveError {
  return new PromhiveError('TOO_LARGE', 'body size limit exceeded', { bytesMax })
}
