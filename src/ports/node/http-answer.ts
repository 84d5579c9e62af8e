// An HTTP/1.x answer to a GET, read from bytes as they come, in pieces of any size. No socket here: bytes in, an answer or an error out.
//
//   status line ──▶ header lines ──▶ body of Content-Length | chunks and trailers | until the connection ends ──▶ done
//        ▲              │ 1xx
//        └──────────────┘
//
// Only lines and the body are copied. Words of errors are those of Go's net/http, which Prometheus' users know.
import type { BodyBuffer } from '../body-buffer.ts'
import { tooLarge } from './http-errors.ts'

/** Of status lines and headers together, 1xx answers included; of trailers; of one line between chunks. */
const headBytesMax = 64 << 10
const headersMax = 1000
const trailerBytesMax = 64 << 10
const chunkLineBytesMax = 4096
/** Bytes of chunk lines beyond 16 and twice its data a chunk: nobody sends so many for honest reasons. */
const chunkWasteBytesMax = 16 << 10

const state = { status: 0, headers: 1, body: 2, untilEnd: 3, chunkSize: 4, chunkData: 5, chunkEnd: 6, trailers: 7, done: 8 } as const

const LF = 10
/** Name, colon, value: no control characters but the tab. */
const header = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):([\t\x20-\x7e\x80-\xff]*)$/
const notAscii = /[\x80-\xff]/

export class AnswerReader {
  status = 0
  /** Lower-case names; repeated headers joined with ', '. */
  headers: Record<string, string> = noHeaders()
  /** Some byte of an answer arrived. */
  touched = false
  /** Status and headers are known. */
  hasHead = false
  done = false
  /** The connection may be used again once it is done. */
  keepAlive = false
  readonly #bytesMax: number
  readonly packed: BodyBuffer
  /** Where the body goes. */
  body: BodyBuffer
  #state: number = state.status
  /** Bytes of the body or of the chunk that are still to come. */
  #left = 0
  #version = 0
  #headBytes = 0
  #headerCount = 0
  #lastHeader = ''
  #chunkWaste = 0
  #trailerBytes = 0
  /** The start of a line whose end has not come yet. */
  #carry: Buffer = none
  #carryLength = 0

  /**
   * @param bytesMax of the body as it comes over the wire.
   * @param plain takes the body; `packed` does where it is gzip.
   */
  constructor(bytesMax: number, plain: BodyBuffer, packed: BodyBuffer) {
    this.#bytesMax = bytesMax
    this.packed = packed
    this.body = plain
  }

  /**
   * Reads bytes[0, end). @returns how many of them belong to the answer: less than `end` only where it is done.
   * @throws PromhiveError TOO_LARGE, or an Error that says what is wrong. Nothing may be fed after it.
   */
  feed(bytes: Buffer, end: number): number {
    if (end > 0) this.touched = true
    let at = 0
    while (at < end && this.#state !== state.done) {
      switch (this.#state) {
        case state.body:
        case state.chunkData:
        case state.untilEnd:
          at = this.#data(bytes, at, end)
          break
        default:
          at = this.#line(bytes, at, end)
      }
    }
    return at
  }

  /** The other side has ended the connection. Throws where the answer isn't complete. */
  end(): void {
    if (this.#state === state.untilEnd) this.#finish()
    else if (this.#state !== state.done) throw new Error(this.touched ? 'unexpected EOF' : 'EOF')
  }

  #finish(): void {
    this.#state = state.done
    this.done = true
    this.#carry = none
  }

  #data(bytes: Buffer, at: number, end: number): number {
    const to = Math.min(end, at + this.#left)
    const { body } = this
    if (body.length + to - at > this.#bytesMax) throw tooLarge(this.#bytesMax)
    body.append(bytes, at, to)
    this.#left -= to - at
    if (this.#left === 0) {
      if (this.#state === state.body) this.#finish()
      else this.#state = state.chunkEnd
    }
    return to
  }

  #line(bytes: Buffer, at: number, end: number): number {
    // What lies behind `end` is left over from other reads: a line feed found there is none.
    const found = bytes.indexOf(LF, at)
    const lf = found < 0 || found > end ? end : found
    const length = this.#carryLength + lf - at
    const inHead = this.#state <= state.headers
    if (inHead) {
      if (this.#headBytes + length > headBytesMax) throw new Error('net/http: server response headers exceeded the limit')
    } else if (length > (this.#state === state.trailers ? trailerBytesMax : chunkLineBytesMax)) {
      throw broken(this.#state === state.trailers ? 'http: suspiciously long trailer after chunked body' : 'header line too long')
    }
    if (lf === end) {
      this.#keep(bytes, at, end)
      // What isn't HTTP may never end its line.
      if (this.#state === state.status && !startsLikeHttp(this.#carry, this.#carryLength))
        throw malformedAnswer(this.#carry.toString('latin1', 0, this.#carryLength))
      return end
    }
    let line: string
    if (this.#carryLength === 0) line = bytes.toString('latin1', at, lf)
    else {
      this.#keep(bytes, at, lf)
      line = this.#carry.toString('latin1', 0, this.#carryLength)
      this.#carryLength = 0
    }
    if (inHead) this.#headBytes += length + 1
    const ended = line.endsWith('\r')
    if (ended) line = line.slice(0, -1)
    switch (this.#state) {
      case state.status:
        this.#statusLine(line)
        break
      case state.headers:
        if (line === '') this.#headDone()
        else this.#headerLine(line)
        break
      case state.chunkSize:
        if (!ended) throw broken('chunked line ends with bare LF')
        this.#chunkLine(line)
        break
      case state.chunkEnd:
        if (!ended || line !== '') throw broken('malformed chunked encoding')
        this.#state = state.chunkSize
        break
      default:
        this.#trailerBytes += length + 1
        if (this.#trailerBytes > trailerBytesMax) throw broken('http: suspiciously long trailer after chunked body')
        if (line === '') this.#finish()
    }
    return lf + 1
  }

  #keep(bytes: Buffer, at: number, end: number): void {
    const length = this.#carryLength + end - at
    if (length > this.#carry.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(256, length * 2))
      this.#carry.copy(grown, 0, 0, this.#carryLength)
      this.#carry = grown
    }
    bytes.copy(this.#carry, this.#carryLength, at, end)
    this.#carryLength = length
  }

  #statusLine(line: string): void {
    // HTTP/1.1 200 and perhaps a reason
    const match = /^HTTP\/([01])\.(\d) +(\d{3})(?: .*)?$/s.exec(line)
    if (match === null) throw malformedAnswer(line)
    this.#version = Number(match[1]) * 10 + Number(match[2])
    this.status = Number(match[3])
    if (this.status < 100) throw malformedAnswer(line)
    this.#state = state.headers
  }

  #headerLine(line: string): void {
    const first = line.charCodeAt(0)
    if (first === 32 || first === 9) {
      // the old way to write long values: continued on the next line
      if (this.#lastHeader === '') throw malformedHeader(line)
      this.headers[this.#lastHeader] += ` ${value(line)}`
      return
    }
    if (++this.#headerCount > headersMax) throw new Error('net/http: server response headers exceeded the limit')
    const { key, text } = knownHeaders.get(line) ?? readHeader(line)
    const before = this.headers[key]
    this.headers[key] = before === undefined ? text : `${before}, ${text}`
    this.#lastHeader = key
  }

  #headDone(): void {
    const { status, headers } = this
    this.#lastHeader = ''
    if (status < 200) {
      if (status === 101) throw broken('unexpected status 101 Switching Protocols')
      this.headers = noHeaders()
      this.#headerCount = 0
      this.#state = state.status
      return
    }
    this.hasHead = true
    const connection = headers['connection']?.toLowerCase().split(/[ \t]*,[ \t]*/) ?? []
    this.keepAlive = this.#version >= 11 ? !connection.includes('close') : connection.includes('keep-alive')
    if (status === 204 || status === 304) return this.#finish()
    if (headers['content-encoding']?.toLowerCase() === 'gzip') this.body = this.packed
    const encoding = this.#version >= 11 ? headers['transfer-encoding'] : undefined
    if (encoding !== undefined) {
      if (encoding.toLowerCase() !== 'chunked') throw broken(`unsupported transfer encoding: ${JSON.stringify(encoding)}`)
      this.#state = state.chunkSize
      return
    }
    const announced = headers['content-length']
    if (announced === undefined) {
      this.keepAlive = false
      this.#left = Infinity
      this.#state = state.untilEnd
      return
    }
    const length = contentLength(announced)
    if (length > this.#bytesMax) throw tooLarge(this.#bytesMax)
    this.#left = length
    this.#state = state.body
    if (length === 0) this.#finish()
    // Memory for what was only promised is taken as it arrives, beyond a size that scrapes usually have.
    else this.body.reserve(Math.min(length, 4 << 20))
  }

  #chunkLine(line: string): void {
    const semicolon = line.indexOf(';')
    const digits = (semicolon < 0 ? line : line.slice(0, semicolon)).replace(/[ \t]+$/, '')
    if (digits === '') throw broken('empty hex number for chunk length')
    if (!/^[0-9a-fA-F]+$/.test(digits)) throw broken('invalid byte in chunk length')
    if (digits.length > 16) throw broken('http chunk length too large')
    const size = parseInt(digits, 16)
    if (size === 0) {
      this.#state = state.trailers
      return
    }
    if (this.body.length + size > this.#bytesMax) throw tooLarge(this.#bytesMax)
    this.#chunkWaste = Math.max(0, this.#chunkWaste + line.length + 4 - 16 - 2 * size)
    if (this.#chunkWaste > chunkWasteBytesMax) throw broken('chunked encoding contains too much non-data')
    this.#left = size
    this.#state = state.chunkData
  }
}

const none = Buffer.alloc(0)

type Header = Readonly<{ key: string; text: string }>

/** Lines of headers that came before: those of a server are mostly the same from answer to answer. */
const knownHeaders = new Map<string, Header>()
const knownHeadersMax = 64
const knownLineMax = 256
const changing: ReadonlySet<string> = new Set(['content-length', 'date'])

function readHeader(line: string): Header {
  const match = header.exec(line)
  if (match === null) throw malformedHeader(line)
  const read = { key: match[1]!.toLowerCase(), text: value(match[2]!) }
  if (line.length <= knownLineMax && !changing.has(read.key)) {
    if (knownHeaders.size >= knownHeadersMax) knownHeaders.clear()
    knownHeaders.set(line, read)
  }
  return read
}

/** Without a prototype: a server may name a header `constructor`. */
function noHeaders(): Record<string, string> {
  return Object.create(null) as Record<string, string>
}

function startsLikeHttp(bytes: Buffer, length: number): boolean {
  const start = 'HTTP/'
  for (let i = 0; i < Math.min(length, start.length); i++) if (bytes[i] !== start.charCodeAt(i)) return false
  return true
}

/** Without blanks around it; UTF-8 where it isn't ASCII. */
function value(text: string): string {
  if (notAscii.test(text))
    return Buffer.from(text, 'latin1')
      .toString('utf8')
      .replace(/^[ \t]+|[ \t]+$/g, '')
  return text.trim()
}

/** The same number several times is one number. */
function contentLength(text: string): number {
  const [first, ...others] = text.split(', ')
  if (others.some((other) => other !== first))
    throw broken(`http: message cannot contain multiple Content-Length headers; got ${JSON.stringify(text)}`)
  if (!/^\d{1,19}$/.test(first!)) throw broken(`bad Content-Length ${JSON.stringify(first)}`)
  return Number(first)
}

function broken(why: string): Error {
  return new Error(`net/http: HTTP/1.x transport connection broken: ${why}`)
}

function malformedAnswer(line: string): Error {
  return broken(`malformed HTTP response ${JSON.stringify(line.slice(0, 100))}`)
}

function malformedHeader(line: string): Error {
  return broken(`malformed MIME header line: ${line.slice(0, 100)}`)
}
