// /api/v1/write, /read, /otlp/v1/metrics: data in protobuf (FEATURES 6.39–6.41, 7.08, 7.09).
import type { IncomingMessage } from 'node:http'
import { createGunzip } from 'node:zlib'
import { limits } from '../base/limits.ts'
import { PromhiveError } from '../base/errors.ts'
import { plainError } from './envelope.ts'
import { readRoute } from './read-route.ts'
import type { Edge, Route } from './routes.ts'

export function writeRoutes(edge: Edge): Route[] {
  const { receiver, options, backend } = edge
  const post = ['POST']
  return [
    {
      methods: post,
      path: '/api/v1/write',
      ownBody: true,
      compress: false,
      handler: async ({ raw, header }) => {
        if (receiver === null) return plainError(404, 'remote write receiver needs to be enabled with --web.enable-remote-write-receiver')
        const message = receiver.accept(header('content-type'), header('content-encoding'))
        if (typeof message !== 'string') return plainError(message.status, message.message)
        const body = await readBody(raw, limits.remoteWriteCompressedBytesMax)
        if (body === null) return plainError(413, `request body exceeds the ${limits.remoteWriteCompressedBytesMax} bytes limit`)
        const outcome = receiver.receive(message, body.bytes)
        body.release() // everything is in columns by now
        const { status, message: text, written, retryAfterSeconds } = await outcome
        const headers: Record<string, string> = {}
        if (written !== null) {
          headers['X-Prometheus-Remote-Write-Samples-Written'] = String(written.samples)
          headers['X-Prometheus-Remote-Write-Histograms-Written'] = String(written.histograms)
          headers['X-Prometheus-Remote-Write-Exemplars-Written'] = String(written.exemplars)
        }
        if (retryAfterSeconds > 0) headers['Retry-After'] = String(retryAfterSeconds)
        if (status === 204) return { status, contentType: '', body: '', headers }
        return plainError(status, text, headers)
      },
    },
    readRoute(edge),
    {
      methods: post,
      path: '/api/v1/otlp/v1/metrics',
      ownBody: true,
      compress: false,
      handler: async ({ raw, header }) => {
        if (!options.enableOtlpReceiver || backend.otlp === null) {
          return plainError(404, 'otlp write receiver needs to be enabled with --web.enable-otlp-receiver')
        }
        const encoding = header('content-encoding')
        if (encoding !== '' && encoding !== 'gzip')
          return plainError(415, `unsupported compression: ${encoding}. Only "gzip" or no compression supported`)
        const body = await readBody(raw, limits.remoteWriteCompressedBytesMax)
        if (body === null) return plainError(413, `request body exceeds the ${limits.remoteWriteCompressedBytesMax} bytes limit`)
        // not released: the decoder may keep what it was given while it waits
        const bytes = encoding === 'gzip' ? await gunzip(body.bytes, limits.remoteWriteDecompressedBytesMax) : body.bytes
        const answer = await backend.otlp.write({ contentType: header('content-type'), body: bytes })
        return { status: answer.status, contentType: answer.contentType, body: [answer.body] }
      },
    },
  ]
}

export type Body = Readonly<{ bytes: Uint8Array; release: () => void }>

/** Buffers for bodies of a few chunks, given back after use. A request holds one only while its body arrives. */
const spare: Buffer[] = []
const spareMax = 16
const spareBytesMax = 4 << 20
const nothing = (): void => {}

/**
 * The whole body in one piece; null where it is larger than the limit (what is left is dropped with the connection's next step).
 * One chunk is handed over as it is; more are copied once, into a buffer that is reused. Rejects where the client goes away.
 */
export function readBody(raw: IncomingMessage, bytesMax: number): Promise<Body | null> {
  const announced = Number(raw.headers['content-length'] ?? NaN)
  if (announced > bytesMax) return Promise.resolve(null)
  return new Promise((resolve, reject) => {
    let first: Buffer | null = null
    let buffer: Buffer | null = null
    let length = 0
    const settle = (outcome: Body | null): void => {
      raw.off('data', onData).off('end', onEnd).off('error', onGone).off('close', onGone)
      resolve(outcome)
    }
    const onData = (chunk: Buffer): void => {
      if (length + chunk.length > bytesMax) {
        if (buffer !== null) giveBack(buffer)
        raw.resume()
        settle(null)
        return
      }
      if (first === null) first = chunk
      else {
        if (buffer === null) {
          buffer = take(announced > 0 ? announced : (length + chunk.length) * 2)
          buffer.set(first, 0)
        }
        if (buffer.length < length + chunk.length) {
          const larger = take(Math.max(buffer.length * 2, length + chunk.length))
          larger.set(buffer.subarray(0, length), 0)
          giveBack(buffer)
          buffer = larger
        }
        buffer.set(chunk, length)
      }
      length += chunk.length
    }
    const onEnd = (): void => {
      const held = buffer
      if (held !== null) settle({ bytes: held.subarray(0, length), release: () => giveBack(held) })
      else settle({ bytes: first ?? Buffer.alloc(0), release: nothing })
    }
    const onGone = (): void => {
      raw.off('data', onData).off('end', onEnd).off('error', onGone).off('close', onGone)
      if (buffer !== null) giveBack(buffer)
      reject(new PromhiveError('QUERY_CANCELED', 'cannot read the request body: the client has gone', { bytes: length }))
    }
    raw.on('data', onData).on('end', onEnd).on('error', onGone).on('close', onGone)
  })
}

function take(size: number): Buffer {
  for (let i = spare.length - 1; i >= 0; i--) {
    if (spare[i]!.length >= size) return spare.splice(i, 1)[0]!
  }
  let capacity = 64 << 10
  while (capacity < size) capacity *= 2
  return Buffer.allocUnsafeSlow(capacity)
}
function giveBack(buffer: Buffer): void {
  if (spare.length < spareMax && buffer.length <= spareBytesMax) spare.push(buffer)
}

/** Off the main thread, stopped as soon as the limit is passed. Throws DECODE or TOO_LARGE. */
export function gunzip(bytes: Uint8Array, bytesMax: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const stream = createGunzip()
    const parts: Buffer[] = []
    let length = 0
    stream.on('data', (part: Buffer) => {
      length += part.length
      parts.push(part)
      if (length <= bytesMax) return
      stream.destroy()
      reject(new PromhiveError('TOO_LARGE', `gzip: more than ${bytesMax} bytes after decompression`, { bytesMax }))
    })
    stream.on('end', () => resolve(Buffer.concat(parts)))
    stream.on('error', (thrown) => reject(new PromhiveError('DECODE', `gzip: ${thrown.message}`, { bytes: bytes.length }, thrown)))
    stream.end(bytes)
  })
}
