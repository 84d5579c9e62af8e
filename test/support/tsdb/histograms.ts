// Arbitrary native histograms for property tests of chunks and blocks.
import fc from 'fast-check'
import { counterReset, customBucketsSchema, type Histogram, type Span } from '../../../src/model/histogram.ts'
import { staleNaN } from '../../../src/model/staleness.ts'
import { bucketIndices } from '../../../src/tsdb/chunks/histogram-layout.ts'

const spans = fc
  .array(fc.record({ offset: fc.integer({ min: 1, max: 4 }), length: fc.integer({ min: 0, max: 3 }) }), { maxLength: 3 })
  .chain((list) => fc.integer({ min: -5, max: 5 }).map((offset): Span[] => list.map((span, i) => (i === 0 ? { ...span, offset } : span))))

function total(spansOf: readonly Span[]): number {
  return spansOf.reduce((sum, span) => sum + span.length, 0)
}

/** Any well-formed histogram; the counter reset hint is unknown, reset or gauge. */
export function histogramArbitrary(isFloat: boolean): fc.Arbitrary<Histogram> {
  const bucket = isFloat ? fc.double({ min: 0, max: 100, noNaN: true }) : fc.oneof(fc.nat(3), fc.nat(2 ** 40))
  return fc
    .tuple(spans, spans, fc.constantFrom(0, 1, 2, -4, 8, customBucketsSchema), fc.constantFrom(0, 2 ** -128, 1e-3), fc.double(), fc.nat(20))
    .chain(([anySpans, negativeSpans, schema, zeroThreshold, sum, kind]) => {
      const custom = schema === customBucketsSchema
      // three bounds make four buckets, the last one up to +Inf
      const positiveSpans: Span[] = custom ? [{ offset: kind % 2, length: 1 + (kind % 3) }] : anySpans
      const negatives = custom ? [] : negativeSpans
      return fc
        .tuple(
          fc.array(bucket, { minLength: total(positiveSpans), maxLength: total(positiveSpans) }),
          fc.array(bucket, { minLength: total(negatives), maxLength: total(negatives) }),
          fc.constantFrom([0.5, 1, 2.5], [0.1 + 0.2, 40000, Infinity], [-1, 0, 33554.43]),
          fc.nat(10),
        )
        .map(([positive, negative, bounds, zeroCount]): Histogram => {
          const stale = kind === 20
          return {
            isFloat,
            schema: stale ? 0 : schema,
            zeroThreshold: stale || custom ? 0 : zeroThreshold,
            zeroCount: stale || custom ? 0 : zeroCount,
            count: stale ? 0 : [...positive, ...negative, custom ? 0 : zeroCount].reduce((a, b) => a + b, 0),
            sum: stale ? staleNaN : sum,
            positiveSpans: stale ? [] : positiveSpans,
            negativeSpans: stale ? [] : negatives,
            positiveBuckets: Float64Array.from(stale ? [] : positive),
            negativeBuckets: Float64Array.from(stale ? [] : negative),
            customBounds: custom && !stale ? Float64Array.from(bounds) : null,
            counterReset: kind === 19 && !stale ? counterReset.reset : kind >= 15 && !stale ? counterReset.gauge : counterReset.unknown,
          }
        })
    })
}

/** A run as a real counter gives it: buckets grow, new ones appear, now and then everything restarts, changes shape or ends. */
export function histogramRunArbitrary(isFloat: boolean): fc.Arbitrary<Histogram[]> {
  return fc.array(fc.tuple(histogramArbitrary(isFloat), fc.nat(9)), { minLength: 1, maxLength: 40 }).map((steps) => {
    const run: Histogram[] = []
    for (const [histogram, dice] of steps) {
      const before = run.at(-1)
      if (before === undefined || dice === 0 || Number.isNaN(before.sum) || Number.isNaN(histogram.sum)) run.push(histogram)
      else
        run.push(
          dice < 5
            ? {
                ...before,
                count: before.count + 1,
                zeroCount: before.zeroCount + (before.schema === customBucketsSchema ? 0 : 1),
                sum: histogram.sum,
              }
            : grown(before, histogram),
        )
    }
    return run
  })
}

/** The first plus the second's buckets: what the same counter may show later. */
function grown(before: Histogram, more: Histogram): Histogram {
  if ((before.schema === customBucketsSchema) !== (more.schema === customBucketsSchema)) return before
  const positive = added(before.positiveSpans, before.positiveBuckets, more.positiveSpans, more.positiveBuckets)
  const negative = before.schema === customBucketsSchema ? before : null
  const negatives = negative ?? added(before.negativeSpans, before.negativeBuckets, more.negativeSpans, more.negativeBuckets)
  const out = { ...before, positiveSpans: positive.spans, positiveBuckets: positive.buckets, sum: more.sum }
  if ('spans' in negatives) Object.assign(out, { negativeSpans: negatives.spans, negativeBuckets: negatives.buckets })
  return { ...out, count: [...out.positiveBuckets, ...out.negativeBuckets, out.zeroCount].reduce((a, b) => a + b, 0) }
}

function added(
  spansA: readonly Span[],
  a: Float64Array,
  spansB: readonly Span[],
  b: Float64Array,
): { spans: Span[]; buckets: Float64Array } {
  const sums = new Map<number, number>()
  bucketIndices(spansA).forEach((index, i) => sums.set(index, a[i]!))
  bucketIndices(spansB).forEach((index, i) => sums.set(index, (sums.get(index) ?? 0) + b[i]!))
  const sorted = [...sums].sort(([x], [y]) => x - y)
  // one span per bucket: a legal layout that is not the shortest
  const out = sorted.map(([index], i): Span => ({ offset: i === 0 ? index : index - sorted[i - 1]![0] - 1, length: 1 }))
  return { spans: out, buckets: Float64Array.from(sorted, ([, sum]) => sum) }
}

/** What two histograms must share to be the same sample, whatever spans they are laid out in. */
export function essence(histogram: Histogram): unknown {
  const { isFloat, schema, zeroThreshold, zeroCount, count, customBounds } = histogram
  const buckets = (list: readonly Span[], counts: Float64Array): [number, number][] =>
    [...bucketIndices(list)].map((index, i): [number, number] => [index, counts[i]!]).filter(([, n]) => n !== 0)
  return {
    isFloat,
    schema,
    zeroThreshold,
    zeroCount,
    count,
    sum: Object.is(histogram.sum, -0) ? '-0' : String(histogram.sum),
    customBounds: customBounds === null ? null : [...customBounds],
    positive: buckets(histogram.positiveSpans, histogram.positiveBuckets),
    negative: buckets(histogram.negativeSpans, histogram.negativeBuckets),
  }
}
