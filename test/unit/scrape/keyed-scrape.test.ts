// What only the keyed scrape does: native histograms, start timestamps; and the change of format of a living target.
import { BodyMemory } from '../../../src/ports/body-buffer.ts'
import { describe, expect, it } from 'vitest'
import { silentLogger } from '../../../src/base/logger.ts'
import { MetricsRegistry } from '../../../src/base/metrics.ts'
import { compileRelabel } from '../../../src/relabel/relabel.ts'
import { BatchBuilder } from '../../../src/scrape/batch.ts'
import { LayoutScratch } from '../../../src/scrape/layout-scrape.ts'
import { scrapeMetrics } from '../../../src/scrape/metrics.ts'
import { defaultScrapeFeatures, defaultScrapeOptions, type ScrapeFeatures, type ScrapeOptions } from '../../../src/scrape/options.ts'
import { jobSupplies, TargetScrape } from '../../../src/scrape/target-scrape.ts'
import { populateTarget } from '../../../src/scrape/target.ts'
import { MemoryAppender } from '../../support/memory-appender.ts'
import { encodeFamilies, protoTypes, type ProtoFamily } from '../../support/metric-family.ts'
import { VirtualClock } from '../../support/virtual-clock.ts'

const protobuf = 'application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited'

class Rig {
  readonly appender = new MemoryAppender()
  readonly registry = new MetricsRegistry()
  readonly scrape: TargetScrape
  #answer: { body: Uint8Array; contentType: string } = { body: new Uint8Array(0), contentType: protobuf }
  #slotMs = 1_000_000
  constructor(parts: Partial<ScrapeOptions> = {}, features: Partial<ScrapeFeatures> = {}) {
    const options: ScrapeOptions = { ...defaultScrapeOptions, jobName: 'j', scrapeNativeHistograms: true, ...parts }
    const client = {
      request: () =>
        Promise.resolve({ status: 200, headers: { 'content-type': this.#answer.contentType }, body: this.#answer.body, wireBytes: 0 }),
      close: () => Promise.resolve(),
    }
    const populated = populateTarget(options, compileRelabel([]), ['__address__', 'h'], [])
    if (!('target' in populated)) throw new Error('no target')
    const supplies = {
      appender: this.appender,
      clock: new VirtualClock(1_000_000),
      metrics: scrapeMetrics(this.registry),
      features: { ...defaultScrapeFeatures, exemplarStorage: true, ...features },
      batch: new BatchBuilder(),
      starts: new BatchBuilder(),
      scratch: new LayoutScratch(),
      bodies: new BodyMemory(),
      userAgent: 'x',
    }
    this.scrape = new TargetScrape(supplies, jobSupplies(options, client, null, silentLogger), populated.target)
  }
  /** @returns samples of all batches of this scrape but report series, and the error. */
  async take(
    body: readonly ProtoFamily[] | string,
    contentType = typeof body === 'string' ? 'text/plain' : protobuf,
  ): Promise<{ samples: string[]; error: string }> {
    this.#answer = { body: typeof body === 'string' ? new TextEncoder().encode(body) : encodeFamilies(body), contentType }
    const before = this.appender.batches.length
    this.appender.histograms.length = this.appender.exemplars.length = 0
    const { error } = await this.scrape.scrape((this.#slotMs += 1000))
    const samples = this.appender.batches.slice(before).flat()
    const strip = (series: string): string => series.replace(/instance="h", job="j"(, )?/, '').replace(/, }|\{\}/, '')
    return {
      error,
      samples: [
        ...samples
          .filter(({ series }) => !/^(up|scrape_\w+)\{/.test(series))
          .map(({ series, value, timeMs }) => `${strip(series)} ${value}${timeMs === this.#slotMs ? '' : `@${timeMs}`}`),
        ...this.appender.histograms.map(
          ({ series, count, stale, timeMs }) =>
            `${strip(series)} ${stale ? 'stale' : `histogram ${count}`}${timeMs === this.#slotMs ? '' : `@${timeMs}`}`,
        ),
      ],
    }
  }
}

const native = (count: number, buckets = 1): ProtoFamily => ({
  name: 'h',
  help: 'H.',
  type: protoTypes.histogram,
  metrics: [
    {
      histogram: {
        count: count * buckets,
        sum: 1,
        schema: 3,
        zeroThreshold: 0.1,
        positiveSpans: [[0, buckets]],
        positiveDeltas: [count, ...new Array<number>(buckets - 1).fill(0)],
      },
    },
  ],
})
const gauge = (value: number): ProtoFamily => ({ name: 'g', type: protoTypes.gauge, metrics: [{ value }] })

describe('native histograms', () => {
  it('are stored, and end with a histogram', async () => {
    const rig = new Rig()
    expect(await rig.take([native(3), gauge(1)])).toEqual({ error: '', samples: ['g 1', 'h histogram 3'] })
    expect(await rig.take([gauge(2)])).toEqual({ error: '', samples: ['g 2', 'h stale'] })
    expect(await rig.take([native(4), gauge(3)])).toEqual({ error: '', samples: ['g 3', 'h histogram 4'] })
    expect(await rig.take('x', 'text/html')).toMatchObject({ samples: ['g stale', 'h stale'] })
    expect(await rig.take('x', 'text/html')).toMatchObject({ samples: [] })
    rig.scrape.release()
    expect(rig.appender.open_.size).toBe(0)
  })
  it('over the bucket limit get coarser, and fail the scrape where that is not enough', async () => {
    const rig = new Rig({ nativeHistogramBucketLimit: 2 })
    expect(await rig.take([native(1, 8)])).toEqual({ error: '', samples: ['h histogram 8'] })
    const converting = new Rig({ nativeHistogramBucketLimit: 2, convertClassicHistogramsToNhcb: true })
    const body = '# TYPE h histogram\nh_bucket{le="1"} 1\nh_bucket{le="2"} 2\nh_bucket{le="+Inf"} 3\nh_count 3\nh_sum 1\n'
    expect(await converting.take(body)).toEqual({ error: 'histogram bucket limit exceeded', samples: [] })
    expect((await converting.registry.gather()).find(({ name }) => name.includes('bucket_limit'))?.samples[0]?.value).toBe(1)
    expect(converting.appender.open_.size).toBe(5)
  })
  it('that are unsound fail the scrape', async () => {
    const wrong = native(3)
    const broken: ProtoFamily = { ...wrong, metrics: [{ histogram: { ...wrong.metrics[0]!.histogram!, count: 99 } }] }
    expect((await new Rig().take([broken])).error).toMatch(/observations found in buckets, but the Count field is 99/)
  })
})

it('a target that turns from protobuf to text keeps what both have', async () => {
  const rig = new Rig()
  await rig.take([native(3), gauge(1)])
  // the old series get markers after the new samples: where both are, the storage refuses the marker
  expect(await rig.take('g 2\n')).toEqual({ error: '', samples: ['g 2', 'g stale', 'h stale'] })
  expect(await rig.take('g 3\n')).toEqual({ error: '', samples: ['g 3'] })
  expect(rig.appender.open_.size).toBe(6)
})

it('zero samples at start times, once for each start', async () => {
  const rig = new Rig({}, { createdTimestampZeroIngestion: true })
  const counter = (startMs: number): ProtoFamily[] => [{ name: 'c_total', type: protoTypes.counter, metrics: [{ value: 5, startMs }] }]
  expect((await rig.take(counter(500_000))).samples).toEqual(['c_total 0@500000', 'c_total 5'])
  expect((await rig.take(counter(500_000))).samples).toEqual(['c_total 5'])
  expect((await rig.take(counter(1_002_500))).samples).toEqual(['c_total 0@1002500', 'c_total 5'])
  expect((await rig.take(counter(9_000_000))).samples).toEqual(['c_total 5'])
  const om = '# TYPE c counter\nc_total 5\nc_created 700\n# EOF\n'
  expect((await rig.take(om, 'application/openmetrics-text')).samples).toEqual(['c_total 0@700000', 'c_total 5', 'c_total stale'])
})

it('exemplars without a time get the sample’s, but only outside of native histograms', async () => {
  const rig = new Rig()
  await rig.take([{ name: 'c_total', type: protoTypes.counter, metrics: [{ value: 5, exemplar: { labels: { id: 'x' }, value: 1 } }] }])
  expect(rig.appender.exemplars).toMatchObject([{ labels: ['id', 'x'], timeMs: 1_001_000, hasTime: false }])
  const long = { labels: { id: 'x'.repeat(127) }, value: 1 }
  await rig.take([{ name: 'c_total', type: protoTypes.counter, metrics: [{ value: 5, exemplar: long }] }])
  expect(rig.appender.exemplars).toEqual([])
})
