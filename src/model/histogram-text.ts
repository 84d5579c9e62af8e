// Native histograms as text: `{count:3, sum:6, (1,2]:3}` in label values and logs, `{{schema:0 count:3 sum:6 buckets:[3]}}` in test files.
// Source: prometheus FloatHistogram.String and TestExpression.
import { counterReset, type Histogram, type Span } from './histogram.ts'
import { compact, usesCustomBuckets } from './histogram-arithmetic.ts'
import { BucketList } from './histogram-buckets.ts'
import { formatFloatG } from './number-text.ts'

const openings = ['(', '[', '(', '[']
const closings = [']', ')', ')', ']']

export function printHistogram(histogram: Histogram): string {
  const parts = [`count:${formatFloatG(histogram.count)}`, `sum:${formatFloatG(histogram.sum)}`]
  const buckets = new BucketList()
  buckets.fill({ ...histogram, zeroThreshold: 0, zeroCount: 0 }) // bounds are not cut at the zero bucket here
  let zeroPrinted = histogram.zeroCount === 0
  const zero = `[${formatFloatG(-histogram.zeroThreshold)},${formatFloatG(histogram.zeroThreshold)}]:${formatFloatG(histogram.zeroCount)}`
  for (let i = 0; i < buckets.length; i++) {
    if (!zeroPrinted && buckets.upper[i]! > 0) {
      parts.push(zero)
      zeroPrinted = true
    }
    if (buckets.counts[i] === 0) continue
    const kind = buckets.inclusive[i]!
    parts.push(
      `${openings[kind]}${formatFloatG(buckets.lower[i]!)},${formatFloatG(buckets.upper[i]!)}${closings[kind]}:${formatFloatG(buckets.counts[i]!)}`,
    )
  }
  if (!zeroPrinted) parts.push(zero)
  return `{${parts.join(', ')}}`
}

export function printTestHistogram(histogram: Histogram): string {
  const whole = compact(histogram, Number.MAX_SAFE_INTEGER)
  const parts: string[] = []
  if (whole.schema !== 0) parts.push(`schema:${whole.schema}`)
  if (whole.count !== 0) parts.push(`count:${formatFloatG(whole.count)}`)
  if (whole.sum !== 0) parts.push(`sum:${formatFloatG(whole.sum)}`)
  if (whole.zeroCount !== 0) parts.push(`z_bucket:${formatFloatG(whole.zeroCount)}`)
  if (whole.zeroThreshold !== 0) parts.push(`z_bucket_w:${formatFloatG(whole.zeroThreshold)}`)
  if (usesCustomBuckets(whole)) parts.push(`custom_values:${printList(whole.customBounds)}`)
  if (whole.counterReset === counterReset.reset) parts.push('counter_reset_hint:reset')
  else if (whole.counterReset === counterReset.notReset) parts.push('counter_reset_hint:not_reset')
  else if (whole.counterReset === counterReset.gauge) parts.push('counter_reset_hint:gauge')
  printSide(parts, 'buckets', 'offset', whole.positiveSpans, whole.positiveBuckets)
  printSide(parts, 'n_buckets', 'n_offset', whole.negativeSpans, whole.negativeBuckets)
  return `{{${parts.join(' ')}}}`
}

function printSide(parts: string[], name: string, offset: string, spans: readonly Span[], counts: Float64Array): void {
  for (const span of spans) if (span.offset !== 0) parts.push(`${offset}:${span.offset}`)
  if (counts.length > 0) parts.push(`${name}:${printList(counts)}`)
}

function printList(values: Float64Array | null): string {
  return `[${values === null ? '' : Array.from(values, formatFloatG).join(' ')}]`
}
