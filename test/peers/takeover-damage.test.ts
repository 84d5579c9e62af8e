// The head of a real Prometheus that was killed, one of its files damaged, taken over: nothing comes that was never written, the file is named, and what a
// Prometheus keeps of such a directory is there.
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { silentLogger, type Logger } from '../../src/base/logger.ts'
import { seededRng, type Rng } from '../../src/base/rng.ts'
import { decompressors } from '../../src/cli/decompressors.ts'
import { takeOver } from '../../src/cli/serve/takeover.ts'
import { simulatedDisk } from '../../src/ports/simulated/disk.ts'
import { freePort, missingPrograms, Process, until } from '../support/processes.ts'
import { compressed, encodeV1, type WireSeries } from '../support/remote-write.ts'
import { Server, ServerHome } from '../support/server.ts'
import { readAll, StorageModel } from '../support/storage-model.ts'
import { smallWorld, StorageWorld } from '../support/storage-world.ts'

const missing = missingPrograms('prometheus')
const long = process.env['LONG'] === '1'
const stepMs = 15_000
const windowMs = 10 * 60_000
const endMs = Math.floor(Date.now() / windowMs) * windowMs - 2 * 60_000
const startMs = endMs - 9 * windowMs
const names = ['a', 'bb', 'ccc']

type Found = ReadonlyMap<string, ReadonlyMap<number, number>>

describe.skipIf(missing !== '')(`the damaged directory of a Prometheus${missing === '' ? '' : ` (${missing})`}`, () => {
  const home = new ServerHome({ config: 'storage: { tsdb: { out_of_order_time_window: 3h } }\n' })
  const children: Process[] = []
  afterAll(async () => {
    for (const child of children) if (!child.ended) await child.stop('SIGKILL')
    home.remove()
  })
  const files = new Map<string, Uint8Array>()
  const model = new StorageModel()

  /** Null where it does not start on the directory. */
  async function prometheus(dataDirectory: string): Promise<Server | null> {
    const port = await freePort()
    const child = new Process('prometheus', [
      `--config.file=${join(home.path, 'prometheus.yml')}`,
      `--storage.tsdb.path=${dataDirectory}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--web.enable-remote-write-receiver',
      '--storage.tsdb.retention.time=10y',
      `--storage.tsdb.min-block-duration=${windowMs / 60_000}m`,
      `--storage.tsdb.max-block-duration=${windowMs / 60_000}m`,
    ])
    children.push(child)
    const url = `http://127.0.0.1:${port}`
    const state = await until(
      'Prometheus is ready or has ended',
      async () => (child.ended ? 'ended' : (await fetch(`${url}/-/ready`)).ok && 'ready'),
      20_000,
    )
    return state === 'ready' ? new Server(child, url) : null
  }

  async function write(server: Server, name: string, times: readonly number[]): Promise<void> {
    const labels: WireSeries['labels'] = [['__name__', name], ['job', 'test']] // prettier-ignore
    const samples = times.map((timeMs) => [StorageModel.value(name, timeMs), timeMs] as const)
    const response = await fetch(`${server.url}/api/v1/write`, {
      method: 'POST',
      headers: { 'Content-Encoding': 'snappy', 'Content-Type': 'application/x-protobuf' },
      body: new Uint8Array(compressed(encodeV1([{ labels, samples }]))),
    })
    expect([response.status, await response.text()]).toEqual([204, ''])
    let sent = model.series.get(name)
    if (sent === undefined) model.series.set(name, (sent = new Map()))
    for (const timeMs of times) sent.set(timeMs, 'kept')
  }

  async function kept(server: Server): Promise<Found> {
    type Matrix = readonly Readonly<{ metric: Readonly<Record<string, string>>; values: readonly (readonly [number, string])[] }>[]
    const time = String((endMs + windowMs) / 1000)
    const { result } = await server.api<{ result: Matrix }>('query', { query: '{__name__=~".+"}[4h]', time })
    return new Map(
      result.map(({ metric, values }) => [metric['__name__']!, new Map(values.map(([s, value]) => [Math.round(s * 1000), Number(value)]))]),
    )
  }

  function read(directory: string, below = ''): void {
    for (const name of readdirSync(join(directory, below))) {
      const path = below === '' ? name : `${below}/${name}`
      if (statSync(join(directory, path)).isDirectory()) read(directory, path)
      else if (!/^(lock|queries\.active)$/.test(path)) files.set(path, new Uint8Array(readFileSync(join(directory, path))))
    }
  }

  // again where it fails: when a Prometheus cuts blocks and makes a checkpoint is its own affair
  it('is made: blocks, checkpoint, log, late log, head chunks', { timeout: 120_000, retry: 2 }, async () => {
    for (const child of children) if (!child.ended) await child.stop('SIGKILL')
    rmSync(home.dataDirectory, { recursive: true, force: true })
    model.series.clear()
    const server = (await prometheus(home.dataDirectory))!
    for (let from = startMs; from < endMs; from += windowMs / 2) {
      const times = Array.from({ length: windowMs / 2 / stepMs }, (_, i) => from + i * stepMs)
      for (const name of names) await write(server, name, times)
      const reached = times.at(-1)!
      if (from > endMs - 2 * windowMs) await write(server, 'a', times.slice(0, 8).map((time) => time + 5_000).reverse()) // prettier-ignore
      // each window that is cut begins a segment of the log; enough of them make a checkpoint
      const cut = Math.floor((reached - windowMs / 2 - startMs) / windowMs)
      if (cut > 0)
        await until('a block is cut', async () => (await server.metric('prometheus_tsdb_head_truncations_total'))! >= cut, 30_000)
    }
    await until('a checkpoint', () => readdirSync(join(home.dataDirectory, 'wal')).some((name) => /^checkpoint\.\d+$/.test(name)), 30_000)
    // what came late before a cut may be in a block by now: this is in the log of late samples
    await write(
      server,
      'bb',
      Array.from({ length: 40 }, (_, i) => endMs - (i + 1) * stepMs + 5_000),
    )
    const all = await kept(server)
    expect(model.differences(all)).toEqual([])
    await server.process.stop('SIGKILL')
    read(home.dataDirectory)
  })

  const kinds = [
    ['log', /^wal\/\d+$/],
    ['checkpoint', /^wal\/checkpoint\.\d+\/\d+$/],
    ['late log', /^wbl\/\d+$/],
    ['head chunks', /^chunks_head\/\d+$/],
  ] as const

  function damaged(bytes: Uint8Array, isCut: boolean, rng: Rng): { bytes: Uint8Array; what: string } {
    // room that was reserved is zeros
    const content = bytes.findLastIndex((byte) => byte !== 0) + 1
    const at = rng.below(content)
    if (isCut) return { bytes: bytes.slice(0, at), what: `cut from ${bytes.length} (${content}) to ${at} bytes` }
    const out = bytes.slice()
    const bit = 1 << rng.below(8)
    out[at]! ^= bit
    return { bytes: out, what: `bit ${bit} of byte ${at} of ${bytes.length} (${content})` }
  }

  async function takenOver(instead: string, bytes: Uint8Array, rng: Rng): Promise<{ found: Found; warnings: string[] }> {
    const world = new StorageWorld(simulatedDisk(rng), endMs, { ...smallWorld, chunkRangeMs: 7_200_000 })
    for (const [path, whole] of files) {
      const parts = `/data/${path}`.split('/')
      for (let n = 2; n < parts.length; n++) world.disk.makeDirectory(parts.slice(0, n).join('/'))
      world.disk.write(`/data/${path}`, path === instead ? bytes : whole)
    }
    const warnings: string[] = []
    const say: Logger['warn'] = (fields, message) => void warnings.push(`${message} ${JSON.stringify(fields)}`)
    const logger: Logger = { ...silentLogger, warn: say, error: say, child: () => logger }
    const storage = (await world.open())!
    const { appender, chunkRangeMs } = storage
    await world.run(takeOver('/data', { disk: world.disk, appender, decompress: decompressors, logger, chunkRangeMs }))
    const found = (await world.run(readAll(storage)))!
    await world.run(storage.close())
    expect(world.errors).toEqual([])
    return { found, warnings }
  }

  it('is taken over whole where nothing is damaged', { timeout: 60_000 }, async ({ skip }) => {
    if (files.size === 0) skip('there is no directory')
    const { found, warnings } = await takenOver('', new Uint8Array(0), seededRng(1))
    expect(model.differences(found)).toEqual([])
    expect(warnings).toEqual([])
  })

  it.each(kinds)('%s: named, nothing invented, and no less than a Prometheus keeps', { timeout: 600_000 }, async (kind, pattern) => {
    const rng = seededRng(kind.length)
    const paths = [...files].filter(([path, bytes]) => pattern.test(path) && bytes.some((byte) => byte !== 0)).map(([path]) => path)
    expect(paths.length).toBeGreaterThan(0)
    let told = 0
    let compared = 0
    for (let round = 0; round < (long ? 400 : 16); round++) {
      const path = paths[round % paths.length]!
      const isCut = rng.chance(0.4)
      const { bytes, what } = damaged(files.get(path)!, isCut, rng)
      const context = `${path}: ${what}`
      const { found, warnings } = await takenOver(path, bytes, rng.fork())
      const wrong = model.differences(found)
      const lost = wrong.filter((line) => line.endsWith(': lost'))
      expect(wrong.filter((line) => !line.endsWith(': lost')), context).toEqual([]) // prettier-ignore
      const named = warnings.filter((line) => line.includes(`/data/${path} `))
      const orphaned = /of series that its log does not name/
      expect(warnings.filter((line) => !named.includes(line) && !orphaned.test(line)), context).toEqual([]) // prettier-ignore
      told += named.length
      if (lost.length > 0 && !isCut) expect(named.length, `${context}: ${lost.length} samples lost`).toBeGreaterThan(0)
      // a few beside the real thing, and those that were cut without a word
      if (round % (long ? 40 : 16) !== 0 && (lost.length === 0 || named.length > 0)) continue
      compared++
      const copy = join(home.path, `copy-${kind.replace(' ', '-')}-${round}`)
      cpSync(home.dataDirectory, copy, { recursive: true })
      mkdirSync(dirname(join(copy, path)), { recursive: true })
      writeFileSync(join(copy, path), bytes)
      const theirs = await prometheus(copy)
      if (theirs === null) continue // it gives up where a checkpoint is damaged
      const less: string[] = []
      for (const [name, samples] of await kept(theirs))
        for (const [timeMs, value] of samples) if (found.get(name)?.get(timeMs) !== value) less.push(`${name} at ${timeMs}`)
      expect(less, `${context}\n${warnings.join('\n')}`).toEqual([])
      // what it says nothing about nobody can see
      if (lost.length > 0 && named.length === 0) expect(theirs.process.log, context).not.toMatch(/corrupt/i)
      await theirs.process.stop('SIGKILL')
    }
    expect(told).toBeGreaterThan(4)
    expect(compared).toBeGreaterThan(0)
  })
})
