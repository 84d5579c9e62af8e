// Histograms of which only count and sum are needed (histogram_count, histogram_sum, histogram_avg) travel without their buckets. Resets are
// found while the buckets are there and kept in the hint. Source: prometheus promql/histogram_stats_iterator.go.
import { counterReset, type CounterReset, type Histogram } from '../model/histogram.ts'
import { detectReset } from '../model/histogram-reset.ts'
import { noBuckets, noSpans } from '../model/histogram-buckets.ts'
import { isStaleAt } from '../model/staleness.ts'
import type { SampleColumns } from '../model/samples.ts'

/** Replaces the histograms of the columns. */
export function stripBuckets(columns: SampleColumns): void {
  const histograms = columns.histograms!
  let before: Histogram | null = null
  for (let i = 0; i < columns.length; i++) {
    const histogram = histograms[i] ?? null
    if (histogram === null) continue
    if (columns.values[i] !== columns.values[i] && isStaleAt(columns.bits, i)) continue
    let hint: CounterReset = histogram.counterReset
    if (hint === counterReset.unknown && before !== null) hint = detectReset(histogram, before) ? counterReset.reset : counterReset.notReset
    before = histogram
    histograms[i] = {
      isFloat: true,
      schema: histogram.schema,
      zeroThreshold: 0,
      zeroCount: 0,
      count: histogram.count,
      sum: histogram.sum,
      positiveSpans: noSpans,
      negativeSpans: noSpans,
      positiveBuckets: noBuckets,
      negativeBuckets: noBuckets,
      customBounds: null,
      counterReset: hint,
    }
  }
}
