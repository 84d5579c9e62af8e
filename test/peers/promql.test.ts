// Random queries over random series, native histograms among them, answered by Promhive and by a real Prometheus 3 over HTTP. Prometheus 2 has other
// range selectors (closed at their start), so that its answers are no measure.
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { seededRng } from '../../src/base/rng.ts'
import { staleNaN } from '../../src/model/staleness.ts'
import { freePort, missingPrograms, Process, temporaryDirectory, until } from '../support/processes.ts'
import { dataMinutes, dataStartMs, randomQuery, randomSeries } from '../support/promql-cases.ts'
import { randomHistogramQuery, randomHistograms } from '../support/promql-histogram-cases.ts'
import { compressed, encodeV1, type WireSeries } from '../support/remote-write.ts'
import { Server, ServerHome } from '../support/server.ts'

const isBench = process.env['BENCH'] === '1'
const features = '--enable-feature=promql-experimental-functions,promql-binop-fill-modifiers'

function whyNot(): string {
  const missing = missingPrograms('prometheus')
  if (missing !== '') return missing
  const said = (flag: string): string => execFileSync('prometheus', [flag], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  const version = /version (\d+)\.\d+/.exec(said('--version'))
  // a build that does not know its version has a flag that came with 3
  const isNew = version === null ? /--(\[no-\])?auto-gomaxprocs/.test(said('--help')) : Number(version[1]) >= 3
  return isNew ? '' : `skipped: the Prometheus installed is ${version?.[0] ?? 'of no known version'}, 3 or newer is wanted`
}
const reason = whyNot()

type Point = [timeS: number, value: string]
type HistogramPoint = [timeS: number, value: { count: string; sum: string; buckets?: [number, string, string, string][] }]
type Series = { metric: Record<string, string>; value?: Point; histogram?: HistogramPoint; values?: Point[]; histograms?: HistogramPoint[] }
type Answer =
  | { status: 'success'; data: { resultType: 'vector' | 'matrix'; result: Series[] } | { resultType: 'scalar' | 'string'; result: Point } }
  | { status: 'error'; errorType: string; error: string }

const near = (a: string, b: string): boolean => {
  const [x, y] = [Number(a), Number(b)]
  return Object.is(x, y) || x === y || Math.abs(x - y) <= 1e-9 * Math.max(1, Math.abs(x), Math.abs(y))
}

/** JavaScript makes a NaN quiet when it writes it: here staleness markers get their bits back. */
function withStaleMarkers(message: Uint8Array): Uint8Array {
  const quiet = [2, 0, 0, 0, 0, 0, 0xf8, 0x7f]
  for (let at = message.indexOf(2); at !== -1; at = message.indexOf(2, at + 1)) {
    if (quiet.every((byte, i) => message[at + i] === byte)) message[at + 6] = 0xf0
  }
  return message
}

/** What an answer says: floats as text, histograms as their numbers one after the other, by series and time. */
function said(answer: Answer): Map<string, string[]> {
  const out = new Map<string, string[]>()
  if (answer.status === 'error') return out
  const { resultType, result } = answer.data
  if (resultType === 'scalar' || resultType === 'string') return out.set('', [String((result as Point)[0]), (result as Point)[1]])
  for (const { metric, value, histogram, values, histograms } of result as Series[]) {
    const numbers: string[] = []
    for (const [time, text] of values ?? (value === undefined ? [] : [value])) numbers.push(String(time), text)
    for (const [time, { count, sum, buckets = [] }] of histograms ?? (histogram === undefined ? [] : [histogram]))
      numbers.push(String(time), count, sum, ...buckets.flat().map(String))
    out.set(JSON.stringify(Object.entries(metric).sort(([a], [b]) => (a < b ? -1 : 1))), numbers)
  }
  return out
}

/** Null where both say the same. */
function difference(theirs: Answer, ours: Answer): string | null {
  if (theirs.status !== ours.status || theirs.status === 'error' || ours.status === 'error') {
    const kind = (answer: Answer): string => (answer.status === 'error' ? answer.errorType : 'success')
    return kind(theirs) === kind(ours) ? null : `wanted ${JSON.stringify(theirs).slice(0, 500)}, got ${JSON.stringify(ours).slice(0, 500)}`
  }
  const [wanted, got] = [said(theirs), said(ours)]
  for (const key of new Set([...wanted.keys(), ...got.keys()])) {
    const [a, b] = [wanted.get(key) ?? [], got.get(key) ?? []]
    if (a.length !== b.length || !a.every((number, i) => near(number, b[i]!))) return `${key}: wanted ${a.join(' ')}, got ${b.join(' ')}`
  }
  return null
}

describe.skipIf(reason !== '')(`answers like a real Prometheus${reason === '' ? '' : ` (${reason})`}`, () => {
  const directory = temporaryDirectory()
  const home = new ServerHome({
    config: 'global: {}\n',
    flags: ['--web.enable-remote-write-receiver', '--storage.tsdb.retention.time=100y', features],
  })
  let ours: Server
  let theirs: Server

  /** All series, in the order of time: nothing comes late. */
  async function write(server: Server, all: readonly WireSeries[]): Promise<void> {
    for (let fromMs = dataStartMs; fromMs < dataStartMs + dataMinutes * 60_000; fromMs += 300_000) {
      const within = <T>(list: readonly T[] | undefined, timeOf: (item: T) => number): T[] =>
        (list ?? []).filter((item) => timeOf(item) >= fromMs && timeOf(item) < fromMs + 300_000)
      const part = all.map(({ labels, samples, histograms }) => ({
        labels,
        samples: within(samples, ([, timeMs]) => timeMs),
        histograms: within(histograms, ({ timeMs }) => timeMs),
      }))
      const response = await fetch(`${server.url}/api/v1/write`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/x-protobuf', 'Content-Encoding': 'snappy', 'X-Prometheus-Remote-Write-Version': '0.1.0' },
        body: compressed(withStaleMarkers(encodeV1(part))) as Uint8Array<ArrayBuffer>,
      })
      if (!response.ok) throw new Error(`${server.url}: ${response.status} ${await response.text()}`)
    }
  }

  beforeAll(async () => {
    const rng = seededRng(1)
    const floats = randomSeries(rng).map(({ labels, samples }): WireSeries => ({
      labels: Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)),
      samples: samples.map(({ timeMs, value, stale }) => [stale === true ? staleNaN : value, timeMs] as const),
    }))
    const all = [...floats, ...randomHistograms(rng)]
    const port = await freePort()
    const child = new Process('prometheus', [
      `--config.file=${join(home.path, 'prometheus.yml')}`,
      `--web.listen-address=127.0.0.1:${port}`,
      `--storage.tsdb.path=${directory.path}`,
      '--storage.tsdb.retention.time=100y',
      '--web.enable-remote-write-receiver',
      features,
    ])
    theirs = new Server(child, `http://127.0.0.1:${port}`)
    ours = await home.start()
    await until('Prometheus is ready', async () => (await fetch(`${theirs.url}/-/ready`)).ok, 20_000)
    await write(theirs, all)
    await write(ours, all)
  })
  afterAll(async () => {
    await theirs.stop('SIGKILL')
    await ours.stop()
    home.remove()
    directory.remove()
  })

  const ask = async (server: Server, path: string, form: Readonly<Record<string, string>>): Promise<Answer> =>
    (await (await fetch(`${server.url}/api/v1/${path}`, { method: 'POST', body: new URLSearchParams(form) })).json()) as Answer

  it.each([
    ['floats', randomQuery],
    ['native histograms', randomHistogramQuery],
  ] as const)(
    '%s',
    async (_name, make) => {
      const rng = seededRng(2)
      let answered = 0
      for (let i = 0; i < (isBench ? 10_000 : 250); i++) {
        const query = make(rng)
        const isInstant = rng.chance(0.3)
        const start = dataStartMs / 1000 + rng.below(3600)
        const step = [15, 60, 73, 300][rng.below(4)]!
        const form: Record<string, string> = isInstant
          ? { query, time: String(start) }
          : { query, start: String(start), end: String(start + step * rng.below(12)), step: String(step) }
        const path = isInstant ? 'query' : 'query_range'
        const [wanted, got] = await Promise.all([ask(theirs, path, form), ask(ours, path, form)])
        const where = `${i}: ${JSON.stringify(form)}`
        expect([where, difference(wanted, got)]).toEqual([where, null])
        if (wanted.status === 'success' && said(wanted).size > 0) answered++
      }
      expect(answered).toBeGreaterThan(isBench ? 5_000 : 125)
    },
    600_000,
  )
})
