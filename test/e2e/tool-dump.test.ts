// `tool tsdb dump` on the directory of a real server: what it prints is what queries have answered, and it leaves no trace.
import { execFile } from 'node:child_process'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { compressed, encodeV1, type WireSeries } from '../support/remote-write.ts'
import { until } from '../support/processes.ts'
import { node, program, ServerHome, type Server } from '../support/server.ts'

const nowMs = Math.floor(Date.now() / 1000) * 1000
const hourMs = 3_600_000
const flags = ['--web.enable-remote-write-receiver', '--web.enable-admin-api']
const config = 'storage: { tsdb: { out_of_order_time_window: 3h } }\n'

function newHome(): ServerHome {
  const home = new ServerHome({ config, flags })
  onTestFinished(() => home.remove())
  return home
}

/** Not spawnSync: the server's output, and requests to it, go on meanwhile. */
function tool(...argv: readonly string[]): Promise<{ code: number; out: string; err: string }> {
  return new Promise((resolve) => {
    execFile(node, [program, 'tool', 'tsdb', ...argv], { maxBuffer: 1 << 28 }, (error, out, err) => {
      resolve({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : -1, out, err })
    })
  })
}

async function dump(home: ServerHome, ...argv: readonly string[]): Promise<string[]> {
  const { code, out, err } = await tool('dump', ...argv, home.dataDirectory)
  expect({ code, err }).toEqual({ code: 0, err: '' })
  return out.trimEnd().split('\n')
}

async function write(server: Server, series: readonly WireSeries[]): Promise<void> {
  const headers = { 'Content-Encoding': 'snappy', 'Content-Type': 'application/x-protobuf' }
  const body = new Uint8Array(compressed(encodeV1(series)))
  const response = await fetch(`${server.url}/api/v1/write`, { method: 'POST', headers, body })
  expect([response.status, await response.text()]).toEqual([204, ''])
}

const floats = (i: number, timeMs: number): WireSeries => ({
  labels: [['__name__', 'm'], ['i', String(i)], ['job', 'test']],
  samples: [[i * 1000 + ((timeMs / 1000) % 977) + 0.25, timeMs]],
}) // prettier-ignore
const histogram = (timeMs: number, n: number): WireSeries => ({
  labels: [['__name__', 'h'], ['job', 'test']],
  histograms: [{ countInt: 6 + 2 * n, sum: n + 0.5, schema: 0, zeroThreshold: 0.001, zeroCountInt: 1, positiveSpans: [[0, 2], [1, 1]], positiveDeltas: [1 + n, 1 - n, n], timeMs }],
}) // prettier-ignore

/** One sample a line, whoever wrote it: series, time, and the value or the count and sum of a histogram. */
async function answered(server: Server): Promise<string[]> {
  type Histogram = Readonly<{ count: string; sum: string; buckets: readonly (readonly [number, string, string, string])[] }>
  type Series = Readonly<{ metric: Record<string, string>; values?: [number, string][]; histograms?: [number, Histogram][] }>
  const { result } = await server.api<{ result: Series[] }>('query', { query: '{job="test"}[8h]', time: String(nowMs / 1000 + 60) })
  return result.flatMap(({ metric, values = [], histograms = [] }) => {
    const series = `{${Object.keys(metric).sort().map((name) => `${name}="${metric[name]}"`).join(', ')}}` // prettier-ignore
    return [
      ...values.map(([seconds, value]) => `${series} ${Number(value)} ${Math.round(seconds * 1000)}`),
      ...histograms.map(([seconds, { count, sum, buckets }]) => {
        const shown = buckets.map(([boundaries, lower, upper, n]) => {
          const [left, right] = ['(]', '[)', '()', '[]'][boundaries]!
          return `${left}${lower},${upper}${right}:${n}`
        })
        return `${series} {${[`count:${count}`, `sum:${sum}`, ...shown].join(', ')}} ${Math.round(seconds * 1000)}`
      }),
    ]
  })
}

/** Numbers of floats in one form. */
function plain(lines: readonly string[]): string[] {
  return lines.map((line) => line.replace(/\} (\S+) (\d+)$/, (_, value, time) => `} ${Number(value)} ${time}`))
}

function listing(path: string): string[] {
  return readdirSync(path, { recursive: true, withFileTypes: true }).map((entry) => {
    const file = join(entry.parentPath, entry.name)
    const { size, mtimeMs, ino } = statSync(file)
    return `${file} ${size} ${mtimeMs} ${ino}`
  })
}

/** Six hours of floats and histograms, of which some have become blocks, and some came late; some are deleted. Answers before the last end. */
async function filled(home: ServerHome, ending: 'SIGKILL' | 'SIGTERM'): Promise<string[]> {
  const first = await home.start()
  const stepMs = 60_000
  const from = nowMs - 6 * hourMs
  const steps = (6 * hourMs) / stepMs
  for (let step = 0; step < steps - 20; step += 10) {
    const times = Array.from({ length: 10 }, (_, k) => from + (step + k) * stepMs)
    await write(first, times.flatMap((time, k) => [...Array.from({ length: 20 }, (_n, i) => floats(i, time)), histogram(time, step + k)])) // prettier-ignore
  }
  const blocks = (): number => readdirSync(home.dataDirectory).filter((name) => /^[0-7][0-9A-Z]{25}$/.test(name)).length
  await until('a block is cut', () => blocks() > 0)
  expect(await first.stop()).toBe(0)
  const second = await home.start()
  for (let step = steps - 20; step < steps; step++) {
    const time = from + step * stepMs
    await write(second, [...Array.from({ length: 20 }, (_, i) => floats(i, time)), histogram(time, step)])
  }
  for (let k = 1; k <= 40; k++) await write(second, [floats(3, nowMs - k * 150_000 + 500), histogram(nowMs - k * 150_000 + 700, k)])
  const range = { start: String((nowMs - 5 * hourMs) / 1000), end: String((nowMs - hourMs / 2) / 1000) }
  const query = new URLSearchParams({ 'match[]': '{i=~"4|5"}', ...range })
  expect((await fetch(`${second.url}/api/v1/admin/tsdb/delete_series?${query}`, { method: 'POST' })).status).toBe(204)
  for (let k = 1; k <= 5; k++) await write(second, [floats(6, nowMs - k * 100_000 + 300), floats(4, nowMs + k)])
  const before = await answered(second)
  expect(before.length).toBeGreaterThan(6000)
  await second.stop(ending)
  return before
}

it('prints what queries answered before kill -9, and changes nothing', { timeout: 120_000 }, async () => {
  const home = newHome()
  const before = await filled(home, 'SIGKILL')
  const files = listing(home.dataDirectory)
  const printed = await dump(home)
  expect(plain(printed).sort()).toEqual(before.sort())
  // by labels, then time
  const places = printed.map((line) => [line.slice(0, line.indexOf('}')), Number(line.slice(line.lastIndexOf(' ')))] as const)
  expect(places).toEqual([...places].sort((a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : a[1] - b[1])))

  const [min, max] = [nowMs - 2 * hourMs, nowMs - hourMs / 2]
  const within = (line: string): boolean => Number(/\d+$/.exec(line)) >= min && Number(/\d+$/.exec(line)) <= max
  const selected = await dump(home, `--min-time=${min}`, `--max-time=${max}`, '--match={i="3"}', '--match=h')
  expect(selected).toEqual(printed.filter((line) => /i="3"|"h"/.test(line) && within(line)))
  expect(selected.length).toBeGreaterThan(200)
  const series = await dump(home, '--format=seriesjson', `--min-time=${nowMs + 1}`)
  expect(series).toEqual(['{"__name__":"m","i":"4","job":"test"}'])
  const { out, err } = await tool('dump-openmetrics', home.dataDirectory)
  expect(err).toBe('')
  expect(out.trimEnd().split('\n')).toEqual([...printed.filter((line) => line.includes('"m"')).map((line) => line
    .replace(/^\{__name__="m", i="(\d+)", job="test"\}/, 'm{i="$1",job="test"}')
    .replace(/(\d+)(\d{3})$/, '$1.$2')), '# EOF']) // prettier-ignore
  expect(listing(home.dataDirectory)).toEqual(files)

  const again = await home.start()
  expect((await answered(again)).sort()).toEqual(before)
  expect(again.log).not.toMatch(/level=(ERROR|error)/)
  await again.stop()
})

it('goes on behind a damaged snapshot, and names it', { timeout: 120_000 }, async () => {
  const home = newHome()
  const before = await filled(home, 'SIGTERM')
  const shards = join(home.dataDirectory, 'promhive/shards')
  const damaged: string[] = []
  for (const shard of readdirSync(shards)) {
    const snapshots = readdirSync(join(shards, shard)).filter((name) => name.startsWith('snapshot-')).sort() // prettier-ignore
    if (snapshots.length < 2) continue
    const path = join(shards, shard, snapshots.at(-1)!)
    const bytes = readFileSync(path)
    bytes[bytes.length >> 1]! ^= 1
    writeFileSync(path, bytes)
    damaged.push(path)
  }
  expect(damaged.length).toBeGreaterThan(0)
  const files = listing(home.dataDirectory)
  const { code, out, err } = await tool('dump', home.dataDirectory)
  expect(code).toBe(0)
  expect(plain(out.trimEnd().split('\n')).sort()).toEqual(before.sort())
  expect(err.trimEnd().split('\n').sort()).toEqual(
    damaged.map((path) => `a head snapshot is damaged, the one before and the log are used: ${path}: checksum does not match`).sort(),
  )
  expect(listing(home.dataDirectory)).toEqual(files)
})

it('reads the directory of a server that goes on', { timeout: 120_000 }, async () => {
  const home = newHome()
  await filled(home, 'SIGKILL')
  const server = await home.start()
  const acknowledged: string[] = []
  let writing = true
  const writer = (async () => {
    for (let k = 1; writing; k++) {
      await write(
        server,
        Array.from({ length: 50 }, (_, i) => floats(100 + i, nowMs + k * 10)),
      )
      acknowledged.push(String(nowMs + k * 10))
    }
  })()
  try {
    for (let round = 0; round < 4; round++) {
      const least = acknowledged.length
      const printed = await dump(home, '--match={i="120"}')
      const times = printed.map((line) => line.slice(line.lastIndexOf(' ') + 1))
      expect(times.slice(0, least)).toEqual(acknowledged.slice(0, least))
      expect(least === 0 || acknowledged.length > least).toBe(true)
      expect(times.length).toBeLessThanOrEqual(acknowledged.length + 1)
    }
  } finally {
    writing = false
    await writer
  }
  expect(acknowledged.length).toBeGreaterThan(20)
  const answer = await answered(server)
  expect(plain(await dump(home)).sort()).toEqual(answer.sort())
  expect(server.log).not.toMatch(/level=(ERROR|error)/)
  expect(await server.stop()).toBe(0)
})
