// All a Prometheus may have in its directory when it is killed: blocks, tombstones, series that came and went, a log, full head chunks, late samples in
// the log of late ones and in blocks of their own, native histograms, exemplars. It is answered the same here, and again by a Prometheus on a snapshot.
import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { labelsFromObject, printLabels } from '../../src/model/labels.ts'
import { freePort, missingPrograms, Process, until } from '../support/processes.ts'
import { compressed, encodeV1, encodeV2, type WireHistogramFields, type WireSeries } from '../support/remote-write.ts'
import { Server, ServerHome } from '../support/server.ts'

const missing = missingPrograms('prometheus', 'promtool')
/** From version 3 on. */
const modern = missing === '' && !/version 2\./.test(execFileSync('prometheus', ['--version'], { encoding: 'utf8' }))
const chunkEncoding = modern ? ', chunk_encoding: { floats: xor2 }' : ''
const minute = 60_000
const hour = 60 * minute
const now = Math.floor(Date.now() / minute) * minute
/** Windows of two hours begin here; the head ends in the middle of one. */
const windowStart = Math.floor(now / (2 * hour)) * 2 * hour - 2 * hour
const start = windowStart - 8 * hour
const end = windowStart + 40 * minute

type Matrix = readonly Readonly<{
  metric: Readonly<Record<string, string>>
  values?: readonly unknown[]
  histograms?: readonly unknown[]
}>[]

describe.skipIf(missing !== '')(`the directory of a Prometheus that was killed${missing === '' ? '' : ` (${missing})`}`, () => {
  const homes: ServerHome[] = []
  const children: Process[] = []
  afterAll(async () => {
    for (const child of children) if (!child.ended) await child.stop('SIGKILL')
    for (const home of homes) home.remove()
  })

  async function prometheus(home: ServerHome, dataDirectory: string): Promise<Server> {
    const port = await freePort()
    const child = new Process('prometheus', [
      `--config.file=${join(home.path, 'prometheus.yml')}`,
      `--storage.tsdb.path=${dataDirectory}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--web.enable-remote-write-receiver',
      '--web.enable-admin-api',
      `--enable-feature=exemplar-storage,native-histograms${modern ? ',st-storage,histograms-st-encoding,ooo-native-histograms' : ''}`,
      '--storage.tsdb.retention.time=10y',
    ])
    children.push(child)
    const url = `http://127.0.0.1:${port}`
    await until('Prometheus is ready', async () => (await fetch(`${url}/-/ready`)).ok, 20_000)
    return new Server(child, url)
  }

  async function write(server: Server, series: readonly WireSeries[]): Promise<void> {
    const response = await fetch(`${server.url}/api/v1/write`, {
      method: 'POST',
      headers: {
        'Content-Encoding': 'snappy',
        'Content-Type': modern ? 'application/x-protobuf;proto=io.prometheus.write.v2.Request' : 'application/x-protobuf',
        ...(modern && { 'X-Prometheus-Remote-Write-Version': '2.0.0' }),
      },
      body: new Uint8Array(compressed(modern ? encodeV2(series) : encodeV1(series))),
    })
    const text = await response.text()
    expect([response.status, text]).toEqual([204, ''])
  }

  /** Everything there is, a line a series. Old versions mix up the buckets of raw histograms, and interpolate in another way: they are asked for less. */
  async function everything(server: Server): Promise<string[]> {
    const time = String((end + hour) / 1000)
    const selector = modern ? '{__name__=~".+"}' : '{__name__=~"float|gone"}'
    const raw = await server.api<{ result: Matrix }>('query', { query: `${selector}[12h]`, time })
    const lines = raw.result.map(({ metric, values, histograms }) =>
      JSON.stringify([printLabels(labelsFromObject(metric)), values, histograms]),
    )
    const range = { start: String(start / 1000), end: String((end + 3 * minute) / 1000), step: '60' }
    for (const query of ['integers', 'floats'].flatMap((name) => [`histogram_count(${name})`, `histogram_sum(${name})`])) {
      const { result } = await server.api<{ result: Matrix }>('query_range', { query, ...range })
      expect(result.length).toBe(1)
      lines.push(JSON.stringify([query, result[0]!.values]))
    }
    return lines.sort()
  }

  async function exemplars(server: Server): Promise<unknown> {
    const range = { start: String(start / 1000), end: String((end + hour) / 1000) }
    return await server.api('query_exemplars', { query: 'float', ...range })
  }

  function difference(got: readonly string[], expected: readonly string[]): string | null {
    const at = expected.findIndex((line, i) => line !== got[i])
    if (at < 0 && got.length === expected.length) return null
    const [a, b] = [got[at] ?? '', expected[at] ?? '']
    let same = 0
    while (same < a.length && a[same] === b[same]) same++
    const part = (text: string): string => `${text.slice(0, 80)} … ${text.slice(Math.max(0, same - 60), same + 120)} (${text.length})`
    return `${got.length} series, expected ${expected.length}; series ${at}:\n got ${part(a)}\n expected ${part(b)}`
  }

  function histogram(i: number, isFloat: boolean): WireHistogramFields {
    const bounds = { schema: 2, zeroThreshold: 1e-128, timeMs: start + i * minute, startTimeMs: start - hour + (i % 7), sum: i * 1.5 }
    const spans = [[0, 2], [1 + (i % 3 === 0 ? 1 : 0), 2]] as const // prettier-ignore
    return isFloat
      ? { ...bounds, countFloat: 4 * i + 0.5, zeroCountFloat: 0.5, positiveSpans: spans, positiveCounts: [i, i, i, i] }
      : { ...bounds, countInt: 4 * i + 1, zeroCountInt: 1, positiveSpans: spans, positiveDeltas: [i, 0, 0, 0] }
  }

  it('is answered the same here, and on a snapshot by a Prometheus again', { timeout: 120_000 }, async () => {
    const configured = new ServerHome({ config: `storage: { tsdb: { out_of_order_time_window: 3h${chunkEncoding} } }\n` })
    // late samples need not be allowed here to be taken over
    const home = new ServerHome({
      config: 'global: {}\n',
      flags: ['--web.enable-admin-api', '--enable-feature=exemplar-storage', '--storage.tsdb.retention.time=10y'],
    })
    homes.push(home, configured)
    const theirs = await prometheus(configured, home.dataDirectory)
    const series = (name: string, n: string): WireSeries['labels'] => [['__name__', name], ['n', n]] // prettier-ignore
    const late = (n: string, fromMs: number, toMs: number): WireSeries => {
      const samples: (readonly [number, number])[] = []
      for (let time = fromMs + 30_000; time < toMs; time += 4 * minute) samples.push([-time / 1e6, time])
      return { labels: series('float', n), samples: samples.reverse() }
    }
    const steps = (end - start) / minute
    for (let from = 0; from < steps; from += 20) {
      const slots = Array.from({ length: Math.min(20, steps - from) }, (_, k) => from + k)
      const of = (labels: WireSeries['labels'], value: (i: number) => number): WireSeries => ({
        labels,
        samples: slots.map((i) => [value(i), start + i * minute]),
      })
      await write(theirs, [
        {
          ...of(series('float', '0'), (i) => i * 1.1),
          exemplars: [{ labels: [['trace', String(from)]], value: from, timeMs: start + from * minute }],
        },
        { ...of(series('float', '1'), (i) => Math.sin(i) / 3), startTimeMs: start - hour + (from % 100) * minute },
        of(series('float', '2'), (i) => (i % 17 === 0 ? NaN : Math.floor(i / 5))),
        of(series('gone', String(Math.floor(from / 60))), (i) => i),
        { labels: series('integers', '0'), histograms: slots.map((i) => histogram(i, false)) },
        { labels: series('floats', '0'), histograms: slots.map((i) => histogram(i, true)) },
      ])
      // late ones all along: their blocks reach into the window the head is in
      if (from % 120 === 60) {
        const reached = start + (from + 19) * minute
        await write(theirs, [late('0', reached - 2 * hour, reached)])
      }
    }
    await until('blocks are cut', async () => (await theirs.metric('prometheus_tsdb_blocks_loaded'))! >= 3, 20_000)
    // killed in the middle of a compaction it may answer differently afterwards
    let before = -1
    const isStill = async (): Promise<boolean> => {
      const made = (await theirs.metric('prometheus_tsdb_compactions_total'))!
      const still = made === before
      before = made
      return still
    }
    await until('no more is compacted', isStill, 20_000, 1_000)
    // these are in the log of late ones alone: before the end of the newest block, and behind it
    await write(theirs, [late('1', end - 170 * minute, end), late('2', end - 5 * minute, end)])
    await theirs.api('admin/tsdb/delete_series', {
      'match[]': ['float{n="2"}'],
      start: String((windowStart - 3 * hour) / 1000),
      end: String((windowStart + 10 * minute) / 1000),
    }, { method: 'POST' }).catch((thrown: unknown) => expect(String(thrown)).toMatch(/JSON/)) // prettier-ignore
    const expected = await everything(theirs)
    expect(expected.length).toBeGreaterThan(12)
    await theirs.process.stop('SIGKILL')
    const { dataDirectory } = home
    const names = readdirSync(dataDirectory)
    expect(names).toEqual(expect.arrayContaining(['wal', 'wbl', 'chunks_head']))
    // what a start of its own makes of it: exemplars of what is in blocks are gone
    const copy = join(home.path, 'copy')
    cpSync(dataDirectory, copy, { recursive: true })
    const restarted = await prometheus(configured, copy)
    expect(difference(await everything(restarted), expected)).toBeNull()
    const expectedExemplars = await exemplars(restarted)
    expect(JSON.stringify(expectedExemplars)).toContain('trace')
    await restarted.process.stop('SIGKILL')

    const ours = await home.start()
    children.push(ours.process)
    expect(difference(await everything(ours), expected)).toBeNull()
    expect(await exemplars(ours)).toEqual(expectedExemplars)
    expect(ours.log).not.toMatch(/level=(ERROR|WARN)/)

    // after a kill of ours as well, and on the way back
    await ours.process.stop('SIGKILL')
    const again = await home.start()
    children.push(again.process)
    expect(difference(await everything(again), expected)).toBeNull()
    const { name } = await again.api<{ name: string }>('admin/tsdb/snapshot', {}, { method: 'POST' })
    const snapshot = join(dataDirectory, 'snapshots', name)
    const listed = execFileSync('promtool', ['tsdb', 'list', snapshot], { encoding: 'utf8' }).trimEnd().split('\n').slice(1)
    expect(listed.length).toBe(readdirSync(snapshot).filter((entry) => existsSync(join(snapshot, entry, 'meta.json'))).length)
    expect(execFileSync('promtool', ['tsdb', 'analyze', snapshot], { encoding: 'utf8' })).toMatch(/Series: \d/)
    expect(await again.stop()).toBe(0)
    const back = await prometheus(configured, snapshot)
    expect(difference(await everything(back), expected)).toBeNull()
    await back.stop()
  })
})
