// POST /api/v1/read: remote read with SAMPLES answers (FEATURES 6.40, 7.13).
import { PromhiveError } from '../base/errors.ts'
import {
  decodeReadRequest,
  encodeReadResponse,
  readRequestBytesMax,
  withoutExternal,
  type ReadSeries,
} from '../../protocols/remote/read.ts'
import { plainError } from './envelope.ts'
import type { Edge, Route } from './routes.ts'
import { readBody } from './write-routes.ts'

export function readRoute(edge: Edge): Route {
  const { backend, options, metrics } = edge
  const queries = metrics.gauge(
    'prometheus_remote_read_handler_queries',
    'The current number of remote read queries that are either in execution or queued on the handler.',
  )
  const gate = new Gate(options.remoteReadConcurrencyMax)
  return {
    methods: ['POST'],
    path: '/api/v1/read',
    ownBody: true,
    compress: false,
    handler: async ({ raw, signal }) => {
      queries.inc()
      try {
        await gate.enter(signal)
        try {
          const body = await readBody(raw, readRequestBytesMax)
          if (body === null) return plainError(413, `request body exceeds the ${readRequestBytesMax} bytes limit`)
          let request
          try {
            request = decodeReadRequest(body.bytes)
          } catch (thrown) {
            if (thrown instanceof PromhiveError) return plainError(400, thrown.message)
            throw thrown
          } finally {
            body.release()
          }
          if (request.accepted.length > 0 && !request.accepted.includes(0)) {
            return plainError(
              400,
              `server does not support any of the requested response types: ${request.accepted.map(typeName).join(', ')}; supported: SAMPLES`,
            )
          }
          const external = backend.status.externalLabels()
          const results: (readonly ReadSeries[])[] = []
          for (const { startMs, endMs, matchers } of request.queries) {
            const query = { matchers: withoutExternal(matchers, external), startMs, endMs, samplesMax: options.remoteReadSamplesMax }
            results.push(await backend.series.samples(query, signal))
          }
          const bytes = encodeReadResponse(results, external)
          return { status: 200, contentType: 'application/x-protobuf', body: [bytes], headers: { 'Content-Encoding': 'snappy' } }
        } catch (thrown) {
          if (!(thrown instanceof PromhiveError)) throw thrown
          if (thrown.code === 'TOO_LARGE') return plainError(400, `exceeded sample limit (${options.remoteReadSamplesMax})`)
          return plainError(thrown.code === 'BAD_REQUEST' ? 400 : 500, thrown.message)
        } finally {
          gate.leave()
        }
      } finally {
        queries.inc(-1)
      }
    },
  }
}

function typeName(type: number): string {
  return type === 1 ? 'STREAMED_XOR_CHUNKS' : String(type)
}

/** At most so many at a time; the rest wait in order. */
class Gate {
  readonly #waiting: (() => void)[] = []
  #free: number
  constructor(places: number) {
    this.#free = places
  }
  async enter(signal: AbortSignal): Promise<void> {
    if (this.#free > 0) {
      this.#free--
      return
    }
    await new Promise<void>((resolve, reject) => {
      const go = (): void => {
        signal.removeEventListener('abort', gone)
        resolve()
      }
      const gone = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(go), 1)
        reject(new PromhiveError('QUERY_CANCELED', 'cannot read: the client has gone'))
      }
      this.#waiting.push(go)
      signal.addEventListener('abort', gone, { once: true })
    })
  }
  leave(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#free++
    else next()
  }
}
