// Protobuf expositions, and the matrix of classic, native and converted histograms (FEATURES 1.06, 1.18).
import { describe, expect, it } from 'vitest'
import type { Histogram } from '../../../src/model/histogram.ts'
import { printLabels } from '../../../src/model/labels.ts'
import { limitHistogram, schemaOfFactor } from '../../../src/scrape/histogram-limits.ts'
import { plainReading, type MetricEntry, type ReadOptions } from '../../../protocols/exposition/entries.ts'
import { readEntries } from '../../../protocols/exposition/read.ts'
import { encodeFamilies, protoTypes, type ProtoFamily, type ProtoHistogram } from '../../support/metric-family.ts'

function printHistogram(h: Histogram): string {
  const spans = (list: Histogram['positiveSpans']): string => list.map(({ offset, length }) => `${offset}:${length}`).join(' ')
  const bounds = h.customBounds === null ? '' : ` bounds=${h.customBounds.join(' ')}`
  const negative = h.negativeSpans.length === 0 ? '' : ` -[${spans(h.negativeSpans)}]${h.negativeBuckets.join(' ')}`
  return `{${h.isFloat ? 'float ' : ''}s=${h.schema} n=${h.count} sum=${h.sum} z=${h.zeroCount} +[${spans(h.positiveSpans)}]${h.positiveBuckets.join(' ')}${negative}${bounds}${h.counterReset === 3 ? ' gauge' : ''}}`
}

function print(item: MetricEntry): string {
  if (item.kind === 'type') return `TYPE ${item.family} ${item.type}`
  if (item.kind === 'help') return `HELP ${item.family} ${item.help}`
  if (item.kind === 'unit') return `UNIT ${item.family} ${item.unit}`
  const exemplars = item.exemplars.map(
    ({ labels, value, timeMs }) => ` # ${printLabels(labels)} ${value}${timeMs === null ? '' : ` ${timeMs}`}`,
  )
  const labels = printLabels(item.labels).replace('__name__=', '')
  return `${labels} ${item.kind === 'sample' ? item.value : printHistogram(item.histogram)}${item.timeMs === null ? '' : ` @${item.timeMs}`}${item.startTimeMs === 0 ? '' : ` ^${item.startTimeMs}`}${exemplars.join('')}`
}

function proto(families: readonly ProtoFamily[], options: Partial<ReadOptions> = {}): string[] {
  return Array.from(readEntries(encodeFamilies(families), 'protobuf', { ...plainReading, ...options }), print)
}

describe('protobuf', () => {
  it('reads simple families', () => {
    const families: ProtoFamily[] = [
      {
        name: 'c',
        help: 'Help é',
        type: protoTypes.counter,
        unit: 's',
        metrics: [{ labels: { b: '2', a: '1' }, value: 5, startMs: 1500, exemplar: { labels: { id: 'x' }, value: 2, timeMs: 1250 } }],
      },
      { name: 'empty', type: protoTypes.gauge, metrics: [] },
      {
        name: 'g',
        type: protoTypes.gauge,
        metrics: [
          { value: -1.5, timeMs: 1234 },
          { labels: { a: '' }, value: NaN, timeMs: -5 },
        ],
      },
      { name: 'u', type: protoTypes.untyped, metrics: [{ value: 7 }] },
      {
        name: 's',
        type: protoTypes.summary,
        metrics: [
          {
            summary: {
              count: 3,
              sum: 1.5,
              quantiles: [
                [0.5, 1],
                [1, 2],
              ],
            },
            startMs: 2000,
          },
        ],
      },
    ]
    expect(proto(families)).toEqual([
      'HELP c Help é',
      'UNIT c s',
      'TYPE c counter',
      '{"c", a="1", b="2"} 5 ^1500 # {id="x"} 2 1250',
      'HELP g ',
      'TYPE g gauge',
      '{"g"} -1.5 @1234',
      '{"g", a=""} NaN @-5',
      'HELP u ',
      'TYPE u unknown',
      '{"u"} 7',
      'HELP s ',
      'TYPE s summary',
      '{"s_count"} 3 ^2000',
      '{"s_sum"} 1.5 ^2000',
      '{"s", quantile="0.5"} 1 ^2000',
      '{"s", quantile="1.0"} 2 ^2000',
    ])
    expect(proto(families.slice(0, 1), { typeAndUnitLabels: true }).at(-1)).toBe(
      '{"c", __type__="counter", __unit__="s", a="1", b="2"} 5 ^1500 # {id="x"} 2 1250',
    )
  })

  const native: ProtoHistogram = {
    count: 9,
    sum: 3.5,
    schema: 3,
    zeroThreshold: 0.001,
    zeroCount: 2,
    positiveSpans: [
      [0, 2],
      [1, 1],
    ],
    positiveDeltas: [1, 1, -1],
    negativeSpans: [[-3, 2]],
    negativeDeltas: [3, -3],
    buckets: [
      { count: 4, upperBound: 1, exemplar: { labels: { t: '1' }, value: 0.5, timeMs: 10 } },
      { count: 9, upperBound: 2, exemplar: { labels: { t: '2' }, value: 1.5 } },
    ],
    startMs: 4000,
  }
  const classic: ProtoHistogram = { count: 9, sum: 3.5, buckets: native.buckets! }
  const nativeText = '{"h"} {s=3 n=9 sum=3.5 z=2 +[0:2 1:1]1 2 1 -[-3:1]3} ^4000 # {t="1"} 0.5 10'
  const series = (suffix: string): string[] => [
    `{"h_count"} 9${suffix}`,
    `{"h_sum"} 3.5${suffix}`,
    `{"h_bucket", le="1.0"} 4${suffix} # {t="1"} 0.5 10`,
    `{"h_bucket", le="2.0"} 9${suffix} # {t="2"} 1.5`,
    `{"h_bucket", le="+Inf"} 9${suffix}`,
  ]
  const converted = '{"h"} {s=-53 n=9 sum=3.5 z=0 +[0:2]4 5 bounds=1 2} # {t="1"} 0.5 10'
  const rows: [string, ProtoHistogram, Partial<ReadOptions>, string[]][] = [
    ['native, not wanted', native, {}, series(' ^4000')],
    ['native', native, { nativeHistograms: true }, [nativeText]],
    ['native and classic', native, { nativeHistograms: true, keepClassic: true }, [nativeText, ...series(' ^4000')]],
    ['native, conversion changes nothing', native, { nativeHistograms: true, convertClassic: true }, [nativeText]],
    ['classic', classic, { nativeHistograms: true }, series('')],
    ['classic converted', classic, { convertClassic: true }, [converted]],
    ['classic converted and kept', classic, { convertClassic: true, keepClassic: true }, [...series(''), converted]],
  ]
  it.each(rows)('%s', (_, histogram, options, lines) => {
    const got = proto([{ name: 'h', type: protoTypes.histogram, metrics: [{ histogram }] }], options)
    expect(got.slice(2)).toEqual(lines)
  })
  it('float and gauge histograms', () => {
    const histogram: ProtoHistogram = {
      countFloat: 2.5,
      sum: 1,
      schema: 0,
      zeroThreshold: 0.5,
      positiveSpans: [[1, 1]],
      positiveCounts: [2.5],
    }
    expect(
      proto([{ name: 'h', type: protoTypes.gaugehistogram, metrics: [{ histogram, timeMs: 7 }] }], { nativeHistograms: true }),
    ).toEqual(['HELP h ', 'TYPE h gaugehistogram', '{"h"} {float s=0 n=2.5 sum=1 z=0 +[1:1]2.5 gauge} @7'])
  })
  it('a native histogram without observations is one by its empty span', () => {
    const histogram: ProtoHistogram = { count: 0, sum: 0, schema: 3, positiveSpans: [[0, 0]] }
    expect(proto([{ name: 'h', type: protoTypes.histogram, metrics: [{ histogram }] }], { nativeHistograms: true }).at(-1)).toBe(
      '{"h"} {s=3 n=0 sum=0 z=0 +[]}',
    )
  })
  it.each<[string, ProtoFamily, RegExp]>([
    [
      'spans and buckets differ',
      { name: 'h', type: 4, metrics: [{ histogram: { ...native, positiveDeltas: [1] } }] },
      /spans require 3 buckets, have 1/,
    ],
    ['unknown type', { name: 'h', type: 9, metrics: [{ value: 1 }] }, /unknown metric type for metric "h": 9/],
    ['no name', { name: '', type: 1, metrics: [{ value: 1 }] }, /invalid metric name/],
  ])('refuses: %s', (_, family, error) => {
    expect(() => proto([family], { nativeHistograms: true })).toThrow(error)
  })
  it('names the offset of what is cut off', () => {
    const body = encodeFamilies([{ name: 'c', type: 0, metrics: [{ value: 1 }] }])
    expect(() => [...readEntries(body.subarray(0, body.length - 2), 'protobuf', plainReading)]).toThrow(
      /cannot parse protobuf: message of \d+ bytes, \d+ left \(metric family at offset 0/,
    )
  })
})

describe('classic histograms in text', () => {
  const body = `# TYPE h histogram
h_bucket{a="1",le="1"} 1
h_bucket{a="1",le="5"} 3
h_bucket{a="1",le="+Inf"} 4
h_sum{a="1"} 10
h_count{a="1"} 4
h_bucket{a="2",le="+Inf"} 2
h_count{a="2"} 2
h_sum{a="2"} 5
# TYPE g gauge
g_count 3
# TYPE broken histogram
broken_bucket{le="1"} 5
broken_bucket{le="+Inf"} 3
broken_count 3
# TYPE last histogram
last_bucket{le="1"} 1.5
last_count 2
last_sum 1
`
  const read = (options: Partial<ReadOptions>): string[] =>
    Array.from(readEntries(new TextEncoder().encode(body), 'text', { ...plainReading, ...options }), print)
  it('are converted', () => {
    expect(read({ convertClassic: true })).toEqual([
      'TYPE h histogram',
      '{"h", a="1"} {s=-53 n=4 sum=10 z=0 +[0:3]1 2 1 bounds=1 5}',
      '{"h", a="2"} {s=-53 n=2 sum=5 z=0 +[0:1]2}',
      'TYPE g gauge',
      '{"g_count"} 3',
      'TYPE broken histogram',
      'TYPE last histogram',
      '{"last"} {float s=-53 n=2 sum=1 z=0 +[0:2]1.5 0.5 bounds=1}',
    ])
  })
  it('are converted and kept', () => {
    expect(read({ convertClassic: true, keepClassic: true })).toHaveLength(read({}).length + 3)
  })
})

describe('limits of native histograms', () => {
  it.each([
    [0, 8],
    [1.00271, 8],
    [1.00272, 7],
    [1.1, 2],
    [1.5, 0],
    [2, 0],
    [4, -1],
    [65536, -4],
    [1e9, -4],
  ])('factor %d is schema %d', (factor, schema) => {
    expect(schemaOfFactor(factor)).toBe(schema)
  })
  const histogram: Histogram = {
    isFloat: false,
    schema: 3,
    zeroThreshold: 0,
    zeroCount: 0,
    count: 10,
    sum: 1,
    positiveSpans: [{ offset: 1, length: 4 }],
    negativeSpans: [],
    positiveBuckets: Float64Array.of(1, 2, 3, 4),
    negativeBuckets: new Float64Array(0),
    customBounds: null,
    counterReset: 0,
  }
  it.each<[number, number, string | null]>([
    [8, 0, '{s=3 n=10 sum=1 z=0 +[1:4]1 2 3 4}'],
    [2, 0, '{s=2 n=10 sum=1 z=0 +[1:2]3 7}'],
    [8, 4, '{s=3 n=10 sum=1 z=0 +[1:4]1 2 3 4}'],
    [8, 3, '{s=2 n=10 sum=1 z=0 +[1:2]3 7}'],
    [8, 1, '{s=1 n=10 sum=1 z=0 +[1:1]10}'],
  ])('schema at most %d, buckets at most %d', (schemaMax, bucketsMax, text) => {
    const limited = limitHistogram(histogram, schemaMax, bucketsMax)
    expect(limited === null ? null : printHistogram(limited)).toBe(text)
  })
  it('cannot make custom buckets fewer', () => {
    expect(limitHistogram({ ...histogram, schema: -53, customBounds: Float64Array.of(1, 2, 3) }, 8, 2)).toBeNull()
  })
})
