// Hostile targets: expositions with bytes changed, cut out, doubled or put in. Either they are read or refused with a place; nothing else happens.
import { expect, it } from 'vitest'
import { seededRng, type Rng } from '../../src/base/rng.ts'
import { PromhiveError } from '../../src/base/errors.ts'
import { compileRelabel } from '../../src/relabel/relabel.ts'
import { BatchBuilder } from '../../src/scrape/batch.ts'
import { LayoutScrape, LayoutScratch } from '../../src/scrape/layout-scrape.ts'
import { defaultScrapeOptions } from '../../src/scrape/options.ts'
import { SampleLabels } from '../../src/scrape/sample-labels.ts'
import { labelBytes } from '../../src/model/label-bytes.ts'
import type { MetricType } from '../../src/model/metadata.ts'
import { plainReading, readLabels } from '../../protocols/exposition/entries.ts'
import { entry, LineReader, terminated } from '../../protocols/exposition/line-reader.ts'
import { checkOpenMetrics } from '../../protocols/exposition/openmetrics-strict.ts'
import { readEntries } from '../../protocols/exposition/read.ts'
import { MemoryAppender } from '../support/memory-appender.ts'
import { encodeFamilies } from '../support/metric-family.ts'

const utf8 = new TextEncoder()
const seeds = {
  text: utf8.encode(`# HELP http_requests_total Some \\n help
# TYPE http_requests_total counter
http_requests_total{code="200",method="post"} 1027 1395066363000
http_requests_total{code="400",path="C:\\\\DIR\\"é"} 3
# TYPE h histogram
h_bucket{le="0.05"} 24054
h_bucket{le="+Inf"} 144320
h_sum 53423.5e-3
h_count 144320
{"utf8.name","l y"="x"} NaN
plain -Inf
`),
  openmetrics: utf8.encode(`# TYPE a counter
# UNIT a_seconds seconds
# HELP a Some \\n help
a_total{x="1"} 1 1.5 # {trace_id="abc",b="c"} 0.5 12.25
a_created{x="1"} 12
{"utf8.name","l y"="x"} NaN # {} 1
b 1e3
# EOF
`),
  protobuf: encodeFamilies([
    {
      name: 'c',
      help: 'h',
      type: 0,
      metrics: [{ labels: { a: 'b' }, value: 1, exemplar: { labels: { t: '1' }, value: 1, timeMs: 5 }, startMs: 6 }],
    },
    { name: 's', type: 2, metrics: [{ summary: { count: 1, sum: 2, quantiles: [[0.5, 1]] } }] },
    {
      name: 'h',
      type: 4,
      metrics: [
        {
          histogram: {
            count: 3,
            sum: 1,
            schema: 2,
            zeroThreshold: 1,
            positiveSpans: [[0, 2]],
            positiveDeltas: [1, 1],
            negativeSpans: [[0, 0]],
            buckets: [{ count: 3, upperBound: 1 }],
          },
        },
      ],
    },
  ]),
} as const

function mutate(body: Uint8Array, rng: Rng): Uint8Array {
  let bytes = Array.from(body)
  for (let edits = rng.below(4) + 1; edits > 0; edits--) {
    const at = rng.below(bytes.length + 1)
    const roll = rng.below(5)
    if (roll === 0) bytes[at] = rng.below(256)
    else if (roll === 1) bytes.splice(at, rng.below(12))
    else if (roll === 2) bytes.splice(at, 0, ...bytes.slice(at, at + rng.below(30)))
    else if (roll === 3)
      bytes.splice(
        at,
        0,
        ...Array.from({ length: rng.below(4) + 1 }, () => [0, 9, 10, 32, 34, 35, 44, 61, 92, 123, 125, 0xff][rng.below(12)]!),
      )
    else bytes = bytes.slice(0, at)
  }
  return Uint8Array.from(bytes)
}

it.each(['text', 'openmetrics', 'protobuf'] as const)('%s', (format) => {
  const rng = seededRng(42)
  let good = 0
  let refused = 0
  for (let i = 0; i < 4_000; i++) {
    const body = mutate(seeds[format], rng)
    try {
      const options = {
        ...plainReading,
        nativeHistograms: true,
        keepClassic: rng.chance(0.5),
        convertClassic: rng.chance(0.5),
        startTimes: rng.chance(0.5),
        typeAndUnitLabels: rng.chance(0.5),
      }
      for (const item of readEntries(body, format, options)) if ('labels' in item) expect(item.labels.length % 2).toBe(0)
      good++
    } catch (thrown) {
      if (!(thrown instanceof PromhiveError)) throw thrown
      expect(thrown.code).toBe('SCRAPE')
      expect(thrown.detail['offset']).toBeTypeOf('number')
      expect(thrown.detail['offset'] as number).toBeLessThanOrEqual(body.length + 1)
      refused++
    }
    if (format === 'openmetrics') for (const problem of checkOpenMetrics(body)) expect(problem.line).toBeGreaterThan(0)
  }
  expect(good).toBeGreaterThan(100)
  expect(refused).toBeGreaterThan(100)
})

it('labels straight from a line are those that strings would have given', () => {
  const rng = seededRng(44)
  const targets = [['instance', 'a:1', 'job', 'j'], ['code', 'x', 'ü', 'y'], []]
  const labels = targets.map((target) => new SampleLabels(target, defaultScrapeOptions, compileRelabel([]), () => {}))
  let direct = 0
  let left = 0
  for (let i = 0; i < 6_000; i++) {
    const format = rng.chance(0.5) ? 'text' : 'openmetrics'
    const body = terminated(rng.chance(0.3) ? seeds[format] : mutate(seeds[format], rng))
    const reader = new LineReader(format)
    reader.open(body, body.length)
    let type: MetricType = 'unknown'
    for (let kind = reader.next(); kind > 0 && kind !== entry.eof; kind = reader.next()) {
      if (kind === entry.type) type = reader.type
      if (kind !== entry.series) continue
      const of = labels[rng.below(labels.length)]!
      const bytes = of.bytesOf(reader, type)
      if (bytes === null) left++
      else {
        expect(Buffer.from(bytes).toString('latin1')).toBe(
          Buffer.from(labelBytes(of.of(readLabels(reader, type, null))!)).toString('latin1'),
        )
        direct++
      }
    }
  }
  expect(direct).toBeGreaterThan(1000)
  expect(left).toBeGreaterThan(100)
})

it('a target that changes under the layout', () => {
  const rng = seededRng(43)
  const appender = new MemoryAppender()
  const labels = new SampleLabels(['job', 'j'], defaultScrapeOptions, compileRelabel([]), () => {})
  const scrape = new LayoutScrape(
    labels,
    appender,
    { honorTimestamps: true, trackTimestampsStaleness: false, sampleLimit: 0, exemplars: true },
    new LayoutScratch(),
  )
  const batch = new BatchBuilder()
  const counts = { scraped: 0, kept: 0, added: 0, duplicates: 0, outOfBounds: 0 }
  for (let i = 0; i < 3_000; i++) {
    const format = rng.chance(0.8) ? 'text' : 'openmetrics'
    batch.begin(i)
    try {
      scrape.ingest(mutate(seeds[format], rng), format, batch, i, counts)
    } catch (thrown) {
      if (!(thrown instanceof PromhiveError)) throw thrown
      expect(batch.length).toBe(0)
      scrape.markStale(batch)
    }
    void appender.append(batch.batch())
    scrape.releaseVanished()
    scrape.metadata()
  }
  scrape.release()
  expect(appender.open_.size).toBe(0)
})
