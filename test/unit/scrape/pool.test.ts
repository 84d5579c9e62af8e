// A whole pool under a virtual clock: slots, staleness, reloads, limits, leaving and returning targets.
import { describe, expect, it } from 'vitest'
import { ScrapeManager } from '../../../actors/scrape-pool/manager.ts'
import { PromhiveError } from '../../../src/base/errors.ts'
import { silentLogger, type Logger } from '../../../src/base/logger.ts'
import { MetricsRegistry } from '../../../src/base/metrics.ts'
import type { TargetGroup } from '../../../src/model/target-group.ts'
import type { HttpAnswer, HttpRequest } from '../../../src/ports/http.ts'
import { relabelRule } from '../../../src/relabel/rule.ts'
import { defaultScrapeFeatures, defaultScrapeOptions, type ScrapeOptions } from '../../../src/scrape/options.ts'
import { appended, MemoryAppender } from '../../support/memory-appender.ts'
import { testRuntime } from '../../support/runtime.ts'
import { VirtualClock } from '../../support/virtual-clock.ts'

const intervalMs = 10_000

class Rig {
  readonly clock = new VirtualClock(1_000_000_000)
  readonly appender = new MemoryAppender()
  readonly registry = new MetricsRegistry()
  readonly requests: HttpRequest[] = []
  readonly failures: Readonly<Record<string, unknown>>[] = []
  page: (url: string) => Partial<HttpAnswer> & { text?: string; fails?: PromhiveError; takesMs?: number } = () => ({ text: 'a 1\n' })
  readonly actorFailures: string[] = []
  readonly warnings: unknown[][] = []
  readonly manager = new ScrapeManager({
    runtime: testRuntime(this.clock, this.registry, this.actorFailures),
    appender: this.appender,
    clock: this.clock,
    logger: this.#logger(),
    metrics: this.registry,
    features: defaultScrapeFeatures,
    offsetSeed: 0n,
    hashSeed: 1,
    userAgent: 'Prometheus/3.14.0',
    discoveryReloadIntervalMs: 5_000,
    openFailureLog: () => ({ write: (record) => void this.failures.push(record), close: () => {} }),
    http: {
      client: () => ({
        request: async (request) => {
          this.requests.push(request)
          const { text = '', fails, takesMs = 0, ...answer } = this.page(request.url)
          if (takesMs > 0) await this.clock.sleep(takesMs)
          if (fails !== undefined) throw fails
          const body = new TextEncoder().encode(text)
          return { status: 200, headers: { 'content-type': 'text/plain; version=0.0.4' }, body, wireBytes: body.length, ...answer }
        },
        close: async () => {},
      }),
    },
  })
  job(parts: Partial<ScrapeOptions> = {}): ScrapeOptions {
    return { ...defaultScrapeOptions, jobName: 'j', intervalMs, timeoutMs: 5_000, ...parts }
  }
  /** Appended since the last call: `name value` by time, report series only where asked. */
  since = 0
  appends(reports = false): string[] {
    const out: string[] = []
    for (const batch of this.appender.batches.slice(this.since)) {
      for (const { series, value } of batch) {
        if (!reports && /^(up|scrape_\w+)\{/.test(series)) continue
        out.push(`${series.replace(/instance="[^"]*", job="j"(, )?/, '').replace('{}', '')} ${value}`)
      }
    }
    this.since = this.appender.batches.length
    return out
  }
  #logger(bound: Readonly<Record<string, unknown>> = {}): Logger {
    const warn: Logger['warn'] = (fields, message) => void this.warnings.push([message, { ...bound, ...fields }])
    return { ...silentLogger, warn, child: (fields) => this.#logger({ ...bound, ...fields }) }
  }
  async metric(name: string): Promise<number> {
    const family = (await this.registry.gather()).find((each) => each.name === name)
    return family?.samples.reduce((sum, sample) => sum + sample.value, 0) ?? NaN
  }
}

function group(...addresses: string[]): TargetGroup {
  return { source: 's', targets: addresses.map((address) => ['__address__', address]), labels: [] }
}

it('scrapes at its slot, with the headers of a scrape', async () => {
  const rig = new Rig()
  rig.manager.applyConfig([rig.job()])
  rig.manager.updateTargets('j', [group('h:1')])
  await rig.clock.advance(3 * intervalMs)
  expect(rig.requests).toHaveLength(3)
  const { headers, url, timeoutMs, method } = rig.requests[0]!
  expect({ url, timeoutMs, method }).toEqual({ url: 'http://h:1/metrics', timeoutMs: 5000, method: 'GET' })
  expect(headers).toEqual({
    accept:
      'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2',
    'accept-encoding': 'gzip',
    'user-agent': 'Prometheus/3.14.0',
    'x-prometheus-scrape-timeout-seconds': '5',
  })
  const times = rig.appender.batches.map((batch) => batch[0]!.timeMs)
  expect(new Set(times.map((time) => time % intervalMs)).size).toBe(1)
  expect(times[1]! - times[0]!).toBe(intervalMs)
  expect(rig.appends(true).slice(0, 6)).toEqual([
    'a 1',
    'up 1',
    'scrape_duration_seconds 0',
    'scrape_samples_scraped 1',
    'scrape_samples_post_metric_relabeling 1',
    'scrape_series_added 1',
  ])
  expect(rig.manager.activeTargets()).toMatchObject([
    {
      scrapePool: 'j',
      scrapeUrl: 'http://h:1/metrics',
      health: 'up',
      lastError: '',
      scrapeInterval: '10s',
      scrapeTimeout: '5s',
      labels: ['instance', 'h:1', 'job', 'j'],
    },
  ])
})

it('aligned samples keep the slot though the timer is late or the scrape slow', async () => {
  const rig = new Rig()
  rig.page = () => ({ text: 'a 1\n', takesMs: 4_000 })
  rig.manager.applyConfig([rig.job()])
  rig.manager.updateTargets('j', [group('h:1')])
  await rig.clock.advance(4 * intervalMs)
  const times = rig.appender.batches.map((batch) => batch[0]!.timeMs)
  expect(times.slice(1).map((time, i) => time - times[i]!)).toEqual(times.slice(1).map(() => intervalMs))
  expect(rig.appender.batches[0]!.find(({ series }) => series.startsWith('scrape_duration'))?.value).toBe(4)
})

describe('failures end all series and say why', () => {
  const rows: [string, ReturnType<Rig['page']>, string, number][] = [
    ['status', { status: 404, text: 'x' }, 'server returned HTTP status 404 Not Found', 0],
    ['refused', { fails: new PromhiveError('UNAVAILABLE', 'connect ECONNREFUSED') }, 'Get "http://h:1/metrics": connect ECONNREFUSED', 0],
    ['timeout', { fails: new PromhiveError('QUERY_TIMEOUT', 'x') }, 'Get "http://h:1/metrics": context deadline exceeded', 0],
    ['too large', { fails: new PromhiveError('TOO_LARGE', 'x') }, 'body size limit exceeded', -1],
    ['broken', { text: 'a 1\nb\n' }, 'expected value after metric while parsing: "b\\n" (line 2, offset 5)', 6],
    [
      'no type',
      { text: 'a 1\n', headers: {} },
      'non-compliant scrape target sending blank Content-Type and no fallback_scrape_protocol specified for target',
      4,
    ],
  ]
  it.each(rows)('%s', async (_, answer, error, bodyBytes) => {
    const rig = new Rig()
    rig.manager.applyConfig([rig.job({ extraScrapeMetrics: true, scrapeFailureLogFile: '/log' })])
    rig.manager.updateTargets('j', [group('h:1')])
    await rig.clock.advance(intervalMs)
    rig.appends()
    rig.page = () => answer
    await rig.clock.advance(intervalMs)
    const appends = rig.appends(true)
    expect(appends[0]).toBe('a stale')
    expect(appends).toContain('up 0')
    expect(appends).toContain(`scrape_body_size_bytes ${bodyBytes}`)
    expect(rig.manager.activeTargets()[0]).toMatchObject({ health: 'down', lastError: error })
    // failed fetches are logged, unreadable bodies are not
    expect(rig.failures).toHaveLength(bodyBytes > 0 ? 0 : 1)
    await rig.clock.advance(intervalMs)
    expect(rig.appends()).toEqual([]) // once is enough
    rig.page = () => ({ text: 'a 2\n' })
    await rig.clock.advance(intervalMs)
    expect(rig.appends()).toEqual(['a 2'])
  })
})

it('targets leave with markers after two intervals, or return without', async () => {
  const rig = new Rig()
  rig.manager.applyConfig([rig.job()])
  rig.manager.updateTargets('j', [group('h:1', 'h:2')])
  await rig.clock.advance(intervalMs)
  rig.manager.updateTargets('j', [group('h:1')])
  await rig.clock.advance(5_000)
  rig.appends()
  expect(rig.manager.activeTargets()).toHaveLength(1)
  await rig.clock.advance(3 * intervalMs)
  const appends = rig.appends(true)
  expect(appends.filter((text) => text === 'a stale')).toHaveLength(1)
  expect(appends.filter((text) => text === 'up stale')).toHaveLength(1)
  expect(rig.appender.open_.size).toBe(6)

  rig.manager.updateTargets('j', [])
  await rig.clock.advance(6_000)
  rig.manager.updateTargets('j', [group('h:1')])
  await rig.clock.advance(intervalMs)
  expect(rig.appender.opened).toBe(12)
  expect(rig.appends().every((text) => text === 'a 1')).toBe(true)
  await rig.clock.advance(3 * intervalMs)
  expect(rig.appends().every((text) => text === 'a 1')).toBe(true)
})

describe('reload', () => {
  it('changes nothing for a job that stays', async () => {
    const rig = new Rig()
    rig.manager.applyConfig([rig.job()])
    rig.manager.updateTargets('j', [group('h:1')])
    await rig.clock.advance(intervalMs)
    rig.manager.applyConfig([rig.job()])
    await rig.clock.advance(intervalMs)
    expect(rig.appends()).toEqual(['a 1', 'a 1'])
    expect(await rig.metric('prometheus_target_scrape_pool_reloads_total')).toBe(0)
  })
  it('keeps slots and series through a change that leaves labels alone', async () => {
    const rig = new Rig()
    rig.manager.applyConfig([rig.job()])
    rig.manager.updateTargets('j', [group('h:1')])
    await rig.clock.advance(intervalMs)
    rig.manager.applyConfig([rig.job({ bodySizeLimit: 1000, enableCompression: false })])
    await rig.clock.advance(intervalMs)
    expect(rig.appends()).toEqual(['a 1', 'a 1'])
    expect(rig.appender.opened).toBe(6)
    expect(rig.requests[1]).toMatchObject({ bodyBytesMax: 1000, compression: false })
    expect(await rig.metric('prometheus_target_scrape_pool_reloads_total')).toBe(1)
  })
  it('ends the series that new metric relabelling drops', async () => {
    const rig = new Rig()
    rig.page = () => ({ text: 'a 1\nb 2\n' })
    rig.manager.applyConfig([rig.job()])
    rig.manager.updateTargets('j', [group('h:1')])
    await rig.clock.advance(intervalMs)
    rig.appends()
    rig.manager.applyConfig([rig.job({ metricRelabelRules: [relabelRule({ sourceLabels: ['__name__'], regex: 'a', action: 'drop' })] })])
    await rig.clock.advance(intervalMs)
    // the marker for b meets a sample of the same time and is refused by the storage
    expect(rig.appends()).toEqual(['b 2', 'a stale', 'b stale'])
    await rig.clock.advance(intervalMs)
    expect(rig.appends()).toEqual(['b 2'])
    expect(rig.appender.open_.size).toBe(6)
  })
  it('a job that is gone ends its series and is forgotten', async () => {
    const rig = new Rig()
    rig.manager.applyConfig([rig.job()])
    rig.manager.updateTargets('j', [group('h:1')])
    await rig.clock.advance(intervalMs)
    rig.manager.applyConfig([])
    expect(rig.manager.scrapePools()).toEqual([])
    await rig.clock.advance(3 * intervalMs)
    expect(rig.appends().at(-1)).toBe('a stale')
    expect(rig.appender.open_.size).toBe(0)
  })
})

it('target_limit fails all targets, and lets go when there are fewer', async () => {
  const rig = new Rig()
  rig.manager.applyConfig([rig.job({ targetLimit: 1 })])
  rig.manager.updateTargets('j', [group('h:1', 'h:2')])
  await rig.clock.advance(intervalMs)
  expect(rig.requests).toHaveLength(0)
  expect(rig.manager.activeTargets()[0]).toMatchObject({
    lastError: 'target_limit exceeded (number of targets: 2, limit: 1)',
    health: 'down',
  })
  expect(await rig.metric('prometheus_target_scrape_pool_exceeded_target_limit_total')).toBe(1)
  rig.manager.updateTargets('j', [group('h:2')])
  await rig.clock.advance(2 * intervalMs)
  expect(rig.manager.activeTargets()).toMatchObject([{ lastError: '', health: 'up' }])
})

it('drops, keeps and counts dropped targets; reports wrong ones', async () => {
  const rig = new Rig()
  rig.manager.applyConfig([
    rig.job({ keepDroppedTargets: 1, relabelRules: [relabelRule({ sourceLabels: ['__address__'], regex: 'drop.*', action: 'drop' })] }),
  ])
  rig.manager.updateTargets('j', [group('drop:1', 'drop:2', 'h:1', 'h:1', 'bad/address')])
  expect(rig.manager.droppedCounts()).toEqual({ j: 2 })
  expect(rig.manager.droppedTargets()).toHaveLength(1)
  expect(rig.manager.activeTargets()).toHaveLength(1)
  expect(await rig.metric('prometheus_target_sync_failed_total')).toBe(1)
  expect(rig.manager.relabelSteps('j', ['__address__', 'drop:1'])).toMatchObject([{ keep: false }])
  expect(() => rig.manager.relabelSteps('x', [])).toThrow('unable to find a scrape config')
})

it('counts what the storage refuses, and survives an append that fails', async () => {
  const rig = new Rig()
  rig.manager.applyConfig([rig.job()])
  rig.manager.updateTargets('j', [group('h:1')])
  rig.page = () => ({ text: 'a 1\na 2\n' })
  rig.appender.answer = () => ({ ...appended, outOfOrder: 2, duplicate: 3, outOfBounds: 4, tooOld: 1, exemplarsOutOfOrder: 5 })
  await rig.clock.advance(intervalMs)
  expect(await rig.metric('prometheus_target_scrapes_sample_out_of_order_total')).toBe(3)
  expect(await rig.metric('prometheus_target_scrapes_sample_duplicate_timestamp_total')).toBe(4)
  expect(await rig.metric('prometheus_target_scrapes_sample_out_of_bounds_total')).toBe(4)
  expect(await rig.metric('prometheus_target_scrapes_exemplar_out_of_order_total')).toBe(5)
  rig.appender.answer = () => new PromhiveError('STORAGE_FULL', 'no space')
  await rig.clock.advance(intervalMs)
  rig.appender.answer = () => appended
  await rig.clock.advance(intervalMs)
  expect(rig.appends()).toEqual(['a 1', 'a 1', 'a 1'])
})

it('counts samples too far in the future and says so in the log, as Prometheus', async () => {
  const rig = new Rig()
  rig.manager.applyConfig([rig.job()])
  rig.manager.updateTargets('j', [group('h:1')])
  rig.page = () => ({ text: `a 1 ${rig.clock.nowMs() + 600_000}\nb 2 ${rig.clock.nowMs() + 600_001}\nc 3 9223372036854775807\n` })
  await rig.clock.advance(intervalMs)
  expect(rig.appends()).toEqual(['a 1'])
  expect(await rig.metric('prometheus_target_scrapes_sample_out_of_bounds_total')).toBe(2)
  expect(rig.warnings).toEqual([
    [
      'Error on ingesting samples that are too old or are too far into the future',
      { component: 'scrape manager', scrape_pool: 'j', target: 'http://h:1/metrics', num_dropped: 2 },
    ],
  ])
})

it('a stopped manager writes nothing more', async () => {
  const rig = new Rig()
  rig.page = () => ({ text: 'a 1\n', takesMs: 3_000 })
  rig.manager.applyConfig([rig.job()])
  rig.manager.updateTargets('j', [group('h:1')])
  await rig.clock.advance(intervalMs + 1)
  const before = rig.appender.batches.length
  await rig.manager.stop()
  await rig.clock.advance(5 * intervalMs)
  expect(rig.appender.batches.length).toBe(before)
  expect(rig.appender.open_.size).toBe(0)
})

it('metadata, by target', async () => {
  const rig = new Rig()
  rig.page = () => ({ text: '# HELP a Some\\nhelp\n# TYPE a gauge\na 1\n# TYPE b counter\nb 1\n' })
  rig.manager.applyConfig([rig.job()])
  rig.manager.updateTargets('j', [group('h:1')])
  await rig.clock.advance(intervalMs)
  expect(rig.manager.metadata('a')).toEqual([
    { target: ['instance', 'h:1', 'job', 'j'], entries: [{ metric: 'a', type: 'gauge', help: 'Some\nhelp', unit: '' }] },
  ])
  expect(rig.manager.metadata()[0]!.entries).toHaveLength(2)
  expect(await rig.metric('prometheus_target_metadata_cache_entries')).toBe(2)
})
