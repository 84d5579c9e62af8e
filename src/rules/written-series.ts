import type { AppendResult, Appender, HistogramSample, SeriesHandle } from '../model/appender.ts'
import { checkHistogram } from '../model/histogram-check.ts'
import type { Labels } from '../model/labels.ts'
import { labelsKey } from '../model/labels.ts'
import { staleNaN } from '../model/staleness.ts'
import type { RuleSamples } from './samples.ts'

/**
 * The series one rule wrote at its last evaluation, with their open handles: what is not written again gets a staleness marker.
 * Handles are opened once per series and released when it ends.
 */

export type WrittenSeries = Readonly<{ labels: Labels; handle: SeriesHandle }>

export type WriteOutcome = Readonly<{
  /** Why samples were refused, '' where none was. The rest is written. */
  refused: string
}>

export class WrittenSeriesSet {
  #series = new Map<string, WrittenSeries>()

  /** Takes over what another set holds, which is empty afterwards. */
  adopt(from: WrittenSeriesSet): void {
    this.#series = from.#series
    from.#series = new Map()
  }

  /** Everything held, no longer held here. */
  takeAll(): WrittenSeries[] {
    const all = [...this.#series.values()]
    this.#series = new Map()
    return all
  }

  get size(): number {
    return this.#series.size
  }

  /**
   * Writes the samples at `timeMs`, and staleness markers for series of the last time that are gone. Rejects as the appender does;
   * then nothing is known to be written and the set is as before.
   */
  async write(samples: RuleSamples, timeMs: number, appender: Appender): Promise<WriteOutcome> {
    const count = samples.labels.length
    const next = new Map<string, WrittenSeries>()
    const opened: SeriesHandle[] = []
    const handles = new Uint32Array(count)
    const values = new Float64Array(count)
    const histograms: HistogramSample[] = []
    let length = 0
    let refused = ''
    for (let i = 0; i < count; i++) {
      const histogram = samples.histograms?.[i] ?? null
      const problem = histogram === null ? null : checkHistogram(histogram)
      if (problem !== null) {
        refused ||= problem
        continue
      }
      const labels = samples.labels[i]!
      const key = labelsKey(labels)
      let series = this.#series.get(key)
      if (series === undefined) {
        series = { labels, handle: appender.open(labels) }
        opened.push(series.handle)
      }
      next.set(key, series)
      if (histogram !== null) histograms.push({ handle: series.handle, timeMs, histogram })
      else {
        handles[length] = series.handle
        values[length++] = samples.values[i]!
      }
    }
    try {
      if (length + histograms.length > 0) {
        const batch = { length, handles: handles.subarray(0, length), values: values.subarray(0, length), times: null, timeMs }
        const result = await appender.append(histograms.length === 0 ? batch : { ...batch, histograms })
        refused ||= refusal(result, length + histograms.length)
      }
      const gone: WrittenSeries[] = []
      for (const [key, series] of this.#series) if (!next.has(key)) gone.push(series)
      if (gone.length > 0) await writeStale(gone, timeMs, appender)
    } catch (thrown) {
      for (const handle of opened) appender.release(handle)
      throw thrown
    }
    this.#series = next
    return { refused }
  }
}

function refusal(result: AppendResult, wanted: number): string {
  if (result.pending || result.appended >= wanted) return ''
  return result.firstError === '' ? `${wanted - result.appended} of ${wanted} samples were not appended` : result.firstError
}

/** Staleness markers, then the handles are released. Refusals do not matter: another rule may write the series now. */
export async function writeStale(series: readonly WrittenSeries[], timeMs: number, appender: Appender): Promise<void> {
  if (series.length === 0) return
  const handles = Uint32Array.from(series, ({ handle }) => handle)
  await appender.append({ length: series.length, handles, values: new Float64Array(series.length).fill(staleNaN), times: null, timeMs })
  for (const { handle } of series) appender.release(handle)
}
