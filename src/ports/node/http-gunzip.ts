// Decompression of answers, bounded by the size of what comes out.
import { gunzip, gunzipSync, type ZlibOptions } from 'node:zlib'
import { messageOf, PromhiveError } from '../../base/errors.ts'
import { tooLarge } from './http-exchange.ts'

/** Below this the thread pool's overhead is more than the work. */
const syncBytesMax = 16 << 10

/** @throws PromhiveError TOO_LARGE where more than `bytesMax` would come out, UNAVAILABLE where the data is not gzip. */
export async function decompress(body: Uint8Array<ArrayBuffer>, bytesMax: number): Promise<Uint8Array<ArrayBuffer>> {
  if (body.length === 0) return body
  // A gzip member ends with its length: one output buffer instead of many. It is a hint from outside, so it is bounded.
  const claimed = body.length < 18 ? 0 : new DataView(body.buffer, body.byteOffset + body.length - 4, 4).getUint32(0, true)
  const chunkSize = Math.min(Math.max(claimed + 1, 16 << 10), bytesMax + 1, body.length * 64 + 1024)
  const options: ZlibOptions = { chunkSize, maxOutputLength: bytesMax }
  try {
    const out =
      body.length <= syncBytesMax
        ? gunzipSync(body, options)
        : await new Promise<Buffer<ArrayBuffer>>((resolve, reject) =>
            gunzip(body, options, (error, result) => (error === null ? resolve(result as Buffer<ArrayBuffer>) : reject(error))),
          )
    return new Uint8Array(out.buffer, out.byteOffset, out.byteLength)
  } catch (thrown) {
    if ((thrown as { code?: unknown }).code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(bytesMax)
    throw new PromhiveError('UNAVAILABLE', `gzip: ${messageOf(thrown)}`, {}, thrown)
  }
}
