// From an Answer to bytes on a socket: compression where the client takes it and it pays, length, parts without copies.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createDeflate, createGzip, deflate, gzip } from 'node:zlib'
import { utf8Bytes } from '../base/bytes.ts'
import type { Answer } from './envelope.ts'

/** Smaller bodies fit a packet or two as they are. */
const compressBytesMin = 1_400
/** Larger bodies are compressed as a stream, so that the first bytes leave early and memory stays flat. */
const streamBytesMin = 256 << 10
/** Parts up to so many bytes together are sent as one. */
const joinBytesMax = 64 << 10
/** Fast rather than small: JSON of samples shrinks to about a tenth either way. */
const level = 1

/** The first of gzip and deflate that the client names, as Prometheus chooses. '' = neither. */
export function encodingOf(acceptEncoding: string): 'gzip' | 'deflate' | '' {
  for (const part of acceptEncoding.split(',')) {
    const name = part.trim()
    if (name === 'gzip' || name === 'deflate') return name
  }
  return ''
}

/**
 * Sends an answer, with `headers` besides its own. Resolves when it is handed over or the client has gone; never rejects.
 * @returns bytes of the body as they go over the wire.
 */
export async function respond(
  request: IncomingMessage,
  response: ServerResponse,
  answer: Answer,
  compress: boolean,
  headers: Record<string, string | number> = {},
): Promise<number> {
  const parts = typeof answer.body === 'string' ? (answer.body === '' ? [] : [utf8Bytes(answer.body)]) : answer.body
  let bytes = 0
  for (const part of parts) bytes += part.length
  if (answer.headers !== undefined) Object.assign(headers, answer.headers)
  if (answer.contentType !== '') headers['Content-Type'] = answer.contentType
  const encoding = compress && bytes >= compressBytesMin ? encodingOf(String(request.headers['accept-encoding'] ?? '')) : ''
  if (encoding === '') {
    if (answer.status !== 204) headers['Content-Length'] = bytes
    response.writeHead(answer.status, headers)
    if (bytes <= joinBytesMax) {
      response.end(parts.length === 1 ? parts[0] : parts.length === 0 ? undefined : Buffer.concat(parts))
      return bytes
    }
    for (const part of parts) response.write(part)
    response.end()
    return bytes
  }
  headers['Content-Encoding'] = encoding
  if (bytes < streamBytesMin) {
    const whole = parts.length === 1 ? parts[0]! : Buffer.concat(parts)
    const packed = await new Promise<Buffer>((resolve, reject) => {
      const done = (thrown: Error | null, result: Buffer): void => (thrown === null ? resolve(result) : reject(thrown))
      if (encoding === 'gzip') gzip(whole, { level }, done)
      else deflate(whole, { level }, done)
    })
    if (response.destroyed) return 0
    headers['Content-Length'] = packed.length
    response.writeHead(answer.status, headers)
    response.end(packed)
    return packed.length
  }
  response.writeHead(answer.status, headers)
  const packer = encoding === 'gzip' ? createGzip({ level }) : createDeflate({ level })
  let sent = 0
  packer.on('data', (chunk: Buffer) => (sent += chunk.length))
  try {
    await pipeline(Readable.from(slices(parts)), packer, response)
  } catch {
    // the client has gone: nobody to tell
  }
  return sent
}

/** Pieces small enough for the compressor to yield between them. */
function* slices(parts: readonly Uint8Array[]): Generator<Uint8Array> {
  for (const part of parts) {
    for (let at = 0; at < part.length; at += streamBytesMin) yield part.subarray(at, at + streamBytesMin)
  }
}
