// Decompression of gzip answers into memory that is there already, bounded by the size of what comes out.
//
// Node's public functions make an inflater and output buffers for every body; a server that is scraped all day would leave megabytes of both to the
// garbage collector. So one inflater is kept and driven through the handle that zlib's own synchronous functions use; where a Node has no such
// handle, the public function does it.
import { createGunzip, gunzip, type Gunzip } from 'node:zlib'
import { constants } from 'node:zlib'
import { messageOf, PromhiveError } from '../../base/errors.ts'
import { BodyBuffer } from '../body-buffer.ts'
import { tooLarge } from './http-errors.ts'
import { nextTurn } from './turn.ts'

/** Bytes that come out at a time; others get their turn in between. About a millisecond. */
const stepBytes = 512 << 10
/** Inflaters kept: a body that takes several steps has one to itself. Each holds about 40 KiB. */
const inflatersMax = 4

/**
 * @param into takes what comes out, from its start; undefined: memory of its own.
 * @throws PromhiveError TOO_LARGE where more than `bytesMax` would come out, UNAVAILABLE where the data is not gzip.
 */
export async function decompress(
  body: Uint8Array<ArrayBuffer>,
  bytesMax: number,
  into: BodyBuffer = new BodyBuffer(),
): Promise<Uint8Array<ArrayBuffer>> {
  into.clear()
  if (body.length === 0) return into.view()
  // A gzip member ends with its length. It is a hint from outside, so it is bounded; one byte more shows that it was all.
  const claimed = body.length < 18 ? 0 : new DataView(body.buffer, body.byteOffset + body.length - 4, 4).getUint32(0, true)
  into.reserve(Math.min(Math.max(claimed + 1, 4096), bytesMax + 1, body.length * 64 + 1024))
  const inflater = Inflater.take()
  if (inflater === null) return decompressPublic(body, bytesMax, into)
  inflater.open(body)
  for (let done = false; !done;) {
    done = inflater.step(into, bytesMax)
    if (into.length > bytesMax) {
      inflater.drop()
      throw tooLarge(bytesMax)
    }
    if (!done) await nextTurn()
  }
  inflater.keep()
  return into.view()
}

async function decompressPublic(body: Uint8Array, bytesMax: number, into: BodyBuffer): Promise<Uint8Array<ArrayBuffer>> {
  try {
    const out = await new Promise<Buffer>((resolve, reject) =>
      gunzip(body, { maxOutputLength: bytesMax }, (error, result) => (error === null ? resolve(result) : reject(error))),
    )
    into.append(out, 0, out.length)
    return into.view()
  } catch (thrown) {
    if ((thrown as { code?: unknown }).code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(bytesMax)
    throw new PromhiveError('UNAVAILABLE', `gzip: ${messageOf(thrown)}`, {}, thrown)
  }
}

/** The part of zlib's native object that is used; src/node_zlib.cc. */
type Handle = {
  writeSync(
    flush: number,
    input: Uint8Array,
    inputAt: number,
    inputBytes: number,
    output: Uint8Array,
    outputAt: number,
    outputBytes: number,
  ): void
  reset(): void
  onerror: (message: string, errno: number, code: string) => void
}

class Inflater {
  static readonly #kept: Inflater[] = []
  readonly #stream: Gunzip
  readonly #handle: Handle
  /** Bytes of output left free and of input left unread by the last write. */
  readonly #left: Uint32Array
  #input: Uint8Array = nothing
  #at = 0
  #problem = ''

  private constructor(stream: Gunzip, handle: Handle, left: Uint32Array) {
    this.#stream = stream
    this.#handle = handle
    this.#left = left
    handle.onerror = (message) => void (this.#problem = message)
  }

  /** Null where this Node has another zlib inside. */
  static take(): Inflater | null {
    const kept = Inflater.#kept.pop()
    if (kept !== undefined) return kept
    const stream = createGunzip()
    const { _handle: handle, _writeState: left } = stream as unknown as { _handle?: Partial<Handle> | null; _writeState?: unknown }
    if (typeof handle?.writeSync === 'function' && typeof handle.reset === 'function' && left instanceof Uint32Array && left.length === 2)
      return new Inflater(stream, handle as Handle, left)
    stream.close()
    return null
  }

  open(input: Uint8Array): void {
    this.#input = input
    this.#at = 0
    this.#problem = ''
  }

  /** Appends the next piece. @returns whether it was the last. Throws PromhiveError UNAVAILABLE, and must not be used any more then. */
  step(into: BodyBuffer, bytesMax: number): boolean {
    if (into.length === into.bytes.length) into.reserve(Math.min(into.length * 2, bytesMax + 1))
    const room = Math.min(into.bytes.length - into.length, stepBytes)
    const input = this.#input
    this.#handle.writeSync(constants.Z_FINISH, input, this.#at, input.length - this.#at, into.bytes, into.length, room)
    if (this.#problem !== '') {
      this.drop()
      throw new PromhiveError('UNAVAILABLE', `gzip: ${this.#problem}`)
    }
    this.#at = input.length - this.#left[1]!
    into.length += room - this.#left[0]!
    return this.#left[0]! > 0
  }

  keep(): void {
    this.#input = nothing
    if (Inflater.#kept.length >= inflatersMax) return this.drop()
    this.#handle.reset()
    Inflater.#kept.push(this)
  }

  drop(): void {
    this.#input = nothing
    this.#stream.close()
  }
}

const nothing = new Uint8Array(0)
