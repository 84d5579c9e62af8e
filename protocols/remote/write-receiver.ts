// The receiving end of remote write, 1.x and 2.0: a compressed body in, a status and headers out. Knows nothing of HTTP but names.
//
//   body ──snappy──▶ message ──decoder──▶ columns ──Appender──▶ log
//
// Everything up to the append is synchronous and works in memory that is reused, so requests never mix.
import { limits } from '../../src/base/limits.ts'
import { messageOf, PromhiveError } from '../../src/base/errors.ts'
import type { Logger } from '../../src/base/logger.ts'
import type { MetricFamily, MetricsRegistry, Numbers } from '../../src/base/metrics.ts'
import type { AppendResult, Appender } from '../../src/model/appender.ts'
import type { SeriesCache } from './series-cache.ts'
import { decodeSlackBytes, decodeSnappy, snappyLength } from './snappy.ts'
import type { WriteDecoder } from './write-decoder.ts'
import { WriteV1Decoder } from './write-v1.ts'
import { WriteV2Decoder } from './write-v2.ts'

export const writeMessages = ['prometheus.WriteRequest', 'io.prometheus.write.v2.Request'] as const
export type WriteMessage = (typeof writeMessages)[number]

export type WriteReceiverOptions = Readonly<{
  appender: Appender
  nowMs: () => number
  logger: Logger
  metrics: MetricsRegistry
  /** Messages taken, in the order they are named in refusals. */
  accepted: readonly WriteMessage[]
  /** --enable-feature=type-and-unit-labels. */
  typeAndUnitLabels: boolean
  /** --enable-feature=created-timestamp-zero-ingestion. */
  startTimestampZeros: boolean
  /** Seeds the hash of the series cache; from a random source. */
  seed: number
  /** Series that senders have named, kept for their next request, by version. */
  cacheEntriesMax?: number
  cacheBytesMax?: number
  cacheIdleMs?: number
}>

/** `message` is plain text for the body, without a newline; '' on success. `written` is null where the answer must not say. */
export type WriteOutcome = Readonly<{
  status: number
  message: string
  retryAfterSeconds: number
  written: Readonly<{ samples: number; histograms: number; exemplars: number }> | null
}>

const nothing = { samples: 0, histograms: 0, exemplars: 0 }

export class WriteReceiver {
  readonly #options: WriteReceiverOptions
  readonly #v1: WriteV1Decoder
  readonly #v2: WriteV2Decoder
  #memory = new Uint8Array(1 << 16)
  #view = new DataView(this.#memory.buffer)
  readonly #invalid: Numbers
  readonly #withoutMetadata: Numbers

  constructor(options: WriteReceiverOptions) {
    this.#options = options
    const cache = {
      bytesMax: options.cacheBytesMax ?? 512 << 20,
      entriesMax: options.cacheEntriesMax ?? 4_000_000,
      idleMs: options.cacheIdleMs ?? 10 * 60_000,
      seed: options.seed,
    }
    this.#v1 = new WriteV1Decoder(options.appender, cache)
    this.#v2 = new WriteV2Decoder(options.appender, cache, {
      typeAndUnitLabels: options.typeAndUnitLabels,
      startZeros: options.startTimestampZeros,
    })
    const { metrics } = options
    this.#invalid = metrics.counter(
      'prometheus_api_remote_write_invalid_labels_samples_total',
      'The total number of received remote write samples and histogram samples which were rejected due to invalid labels.',
    )
    this.#withoutMetadata = metrics.counter(
      'prometheus_api_remote_write_without_metadata_appended_samples_total',
      'The total number of received remote write samples (and histogram samples) which were ingested without corresponding metadata.',
    )
    const caches = [
      { version: '1', cache: this.#v1.cache },
      { version: '2', cache: this.#v2.cache },
    ]
    const gauge = (name: string, help: string, value: (cache: SeriesCache) => number): MetricFamily => ({
      name,
      help,
      kind: 'gauge',
      samples: caches.map(({ version, cache }) => ({ suffix: '', labels: ['version', version], value: value(cache) })),
    })
    metrics.collect(() => [
      gauge('promhive_remote_write_cached_series', 'Series whose labels remote write need not read again.', (cache) => cache.size),
      gauge('promhive_remote_write_cached_series_bytes', 'Memory that the labels of cached series take.', (cache) => cache.bytes),
    ])
  }

  /** Which message the headers announce; where it is not taken, the answer. Missing headers mean version 1 and snappy. */
  accept(contentType: string, contentEncoding: string): WriteMessage | WriteOutcome {
    const named = messageOfType(contentType === '' ? 'application/x-protobuf' : contentType)
    if (typeof named !== 'string') return refused(415, named.problem)
    if (!this.#options.accepted.includes(named)) {
      return refused(415, `${named} protobuf message is not accepted by this server; only accepts ${this.#options.accepted.join(', ')}`)
    }
    if (contentEncoding !== '' && contentEncoding !== 'snappy') {
      return refused(415, `${contentEncoding} encoding (compression) is not accepted by this server; only snappy is acceptable`)
    }
    return named
  }

  /** Never rejects. `body` may be reused as soon as the call has returned. */
  receive(message: WriteMessage, body: Uint8Array): Promise<WriteOutcome> {
    const second = message === 'io.prometheus.write.v2.Request'
    const decoder: WriteDecoder = second ? this.#v2 : this.#v1
    try {
      const { length, body: start } = snappyLength(body, limits.remoteWriteDecompressedBytesMax)
      this.#reserve(length + decodeSlackBytes)
      decodeSnappy(body, start, length, this.#memory)
      decoder.decode(this.#memory, this.#view, length, this.#options.nowMs())
    } catch (thrown) {
      if (!(thrown instanceof PromhiveError)) return Promise.resolve(this.#failed(thrown, second))
      return Promise.resolve({ status: 400, message: thrown.message, retryAfterSeconds: 0, written: second ? nothing : null })
    }
    if (decoder.invalidLabels > 0) {
      this.#invalid.inc(decoder.invalidLabels)
      this.#options.logger.warn({ count: decoder.invalidLabels, first: decoder.firstInvalid }, 'Invalid labels in remote write request')
    }
    return second ? this.#appendV2() : this.#appendV1()
  }

  /** Gives all series handles back. */
  close(): void {
    for (const decoder of [this.#v1, this.#v2]) {
      decoder.cache.clear()
      decoder.releaseLoose()
    }
  }

  async #appendV1(): Promise<WriteOutcome> {
    const { columns, problems } = this.#v1
    let refusal = problems[0] ?? ''
    const samples = columns.length + columns.histograms.length
    try {
      if (samples + columns.exemplars.length > 0) {
        const { histograms } = columns
        // one batch: the log makes it durable as a whole
        const appending = this.#options.appender.append(histograms.length === 0 ? columns.floats() : { ...columns.floats(), histograms })
        this.#v1.releaseLoose()
        const result = await appending
        if (refusal === '') refusal = result.firstError
        this.#withoutMetadata.inc(result.pending ? samples : result.appended)
      }
    } catch (thrown) {
      return this.#failed(thrown, false)
    }
    return refusal === '' ? { status: 204, message: '', retryAfterSeconds: 0, written: null } : refused(400, refusal)
  }

  async #appendV2(): Promise<WriteOutcome> {
    const { columns, zeros } = this.#v2
    const { appender } = this.#options
    const problems = this.#v2.problems
    const more = this.#v2.problemCount - problems.length
    const counts = { samples: columns.length, histograms: columns.histograms.length, exemplars: columns.exemplars.length }
    const written = { ...counts }
    try {
      const pending: Promise<AppendResult>[] = []
      const length = zeros.handles.length
      // apart, so that the answer can say how many of each were written; all are handed over before anything is waited for
      if (length > 0) {
        const handles = Uint32Array.from(zeros.handles)
        pending.push(
          appender.append({ length, handles, values: new Float64Array(length), times: Float64Array.from(zeros.times), timeMs: 0 }),
        )
      }
      if (counts.samples + counts.exemplars > 0) pending.push(appender.append(columns.floats()))
      if (counts.histograms > 0) {
        const { histograms } = columns
        const { handles, values } = columns
        pending.push(appender.append({ length: 0, handles, values, times: null, timeMs: 0, histograms }))
      }
      this.#v2.releaseLoose()
      const results = await Promise.all(pending)
      const histograms = counts.histograms > 0 ? results.pop() : undefined
      const floats = counts.samples + counts.exemplars > 0 ? results.pop() : undefined // what is left are the zeros: refusing them is normal
      if (floats !== undefined && !floats.pending) {
        written.samples = counts.samples - refusedIn(floats)
        written.exemplars = counts.exemplars - floats.exemplarsOutOfOrder
        if (floats.firstError !== '') problems.push(floats.firstError)
      }
      if (histograms !== undefined && !histograms.pending) {
        written.histograms = counts.histograms - refusedIn(histograms)
        if (histograms.firstError !== '') problems.push(histograms.firstError)
      }
    } catch (thrown) {
      return this.#failed(thrown, true)
    }
    if (more > 0) problems.push(`and ${more} more`)
    if (problems.length === 0) return { status: 204, message: '', retryAfterSeconds: 0, written }
    return { status: 400, message: problems.join('\n'), retryAfterSeconds: 0, written }
  }

  #failed(thrown: unknown, second: boolean): WriteOutcome {
    const known = thrown instanceof PromhiveError && (thrown.code === 'UNAVAILABLE' || thrown.code === 'STORAGE_FULL')
    this.#options.logger.error({ err: messageOf(thrown) }, 'Error while storing a remote write request')
    return { status: known ? 503 : 500, message: messageOf(thrown), retryAfterSeconds: known ? 5 : 0, written: second ? nothing : null }
  }

  #reserve(length: number): void {
    const kept = 8 << 20
    if (length <= this.#memory.length && (this.#memory.length <= kept || length > kept)) return
    // grown by doubling, and given back after a request of unusual size
    let size = 1 << 16
    while (size < length) size *= 2
    this.#memory = new Uint8Array(size)
    this.#view = new DataView(this.#memory.buffer)
  }
}

function refused(status: number, message: string): WriteOutcome {
  return { status, message, retryAfterSeconds: 0, written: null }
}

function refusedIn(result: AppendResult): number {
  return result.outOfOrder + result.duplicate + result.outOfBounds + result.tooOld
}

function messageOfType(contentType: string): WriteMessage | { problem: string } {
  const parts = contentType.trim().split(';')
  if (parts[0] !== 'application/x-protobuf') {
    return { problem: `expected application/x-protobuf as the first (media) part, got ${contentType} content-type` }
  }
  for (const part of parts.slice(1)) {
    const pair = part.split('=')
    if (pair.length !== 2) {
      return {
        problem: `as per https://www.rfc-editor.org/rfc/rfc9110#parameter expected parameters to be key-values, got ${part} in ${contentType} content-type`,
      }
    }
    if (pair[0]!.trim() !== 'proto') continue
    const name = pair[1]!.trim().replace(/^"(.*)"$/, '$1')
    for (const known of writeMessages) if (known === name) return known
    return {
      problem: `got ${contentType} content type; unknown type for remote write protobuf message ${name}, supported: ${writeMessages.join(', ')}`,
    }
  }
  return 'prometheus.WriteRequest'
}
