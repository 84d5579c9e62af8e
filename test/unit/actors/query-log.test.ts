import { describe, expect, it } from 'vitest'
import { ActiveQueries } from '../../../actors/query/active-queries.ts'
import { QueryLog, type LoggedQuery } from '../../../actors/query/query-log.ts'
import { silentLogger, type Logger } from '../../../src/base/logger.ts'
import { MetricsRegistry } from '../../../src/base/metrics.ts'
import { utf8Bytes } from '../../../src/base/bytes.ts'
import { seededRng } from '../../../src/base/rng.ts'
import type { DiskFile } from '../../../src/ports/disk.ts'
import type { LinesLost } from '../../../src/ports/line-file.ts'
import { simulatedClock } from '../../../src/ports/simulated/clock.ts'
import { MemoryDisk } from '../../support/tsdb/memory-disk.ts'

/** Keeps what is said at each level, with its fields. */
function keepingLogger(): { logger: Logger; said: [message: string, fields: Readonly<Record<string, unknown>>][] } {
  const said: [string, Readonly<Record<string, unknown>>][] = []
  const keep = (fields: Readonly<Record<string, unknown>>, message: string): void => void said.push([message, fields])
  return { logger: { ...silentLogger, info: keep, warn: keep }, said }
}

describe('query log', () => {
  const rows: readonly [name: string, logged: Partial<LoggedQuery>, line: string][] = [
    [
      'an instant query of a client',
      { origin: { httpRequest: { clientIP: '10.0.0.1', method: 'GET', path: '/api/v1/query' } } },
      '{"time":"2026-01-02T03:04:05.5Z","level":"INFO","source":"query-log.ts","msg":"promql query logged","params":{"end":"2026-01-02T03:04:05.000Z","query":"up < \\"a\\"","start":"2026-01-02T03:04:05.000Z","step":0},"stats":{"timings":{"evalTotalTime":0.007,"resultSortTime":0.004,"queryPreparationTime":0.001,"innerEvalTime":0.002,"execQueueTime":0.0005,"execTotalTime":0.0075},"samples":{"totalQueryableSamples":7,"samplesRead":6,"peakSamples":5}},"spanID":"0000000000000000","traceID":"00000000000000000000000000000000","httpRequest":{"clientIP":"10.0.0.1","method":"GET","path":"/api/v1/query"}}',
    ],
    [
      'a range query of a rule that fails, with statistics of every step',
      {
        endMs: 1_767_323_048_000,
        stepMs: 1500,
        error: 'query timed out in expression evaluation',
        origin: { ruleGroup: { file: '/etc/r.yml', name: 'g' } },
        samples: { total: 3, read: 2, peak: 1, perStep: { total: Float64Array.of(1, 0, 2), read: Float64Array.of(1, 0, 1) } },
      },
      '{"time":"2026-01-02T03:04:05.5Z","level":"INFO","source":"query-log.ts","msg":"promql query logged","params":{"end":"2026-01-02T03:04:08.000Z","query":"up < \\"a\\"","start":"2026-01-02T03:04:05.000Z","step":1},"error":"query timed out in expression evaluation","stats":{"timings":{"evalTotalTime":0.007,"resultSortTime":0.004,"queryPreparationTime":0.001,"innerEvalTime":0.002,"execQueueTime":0.0005,"execTotalTime":0.0075},"samples":{"totalQueryableSamplesPerStep":[[1767323045,1],[1767323046.5,0],[1767323048,2]],"totalQueryableSamples":3,"samplesReadPerStep":[[1767323045,1],[1767323046.5,0],[1767323048,1]],"samplesRead":2,"peakSamples":1}},"spanID":"0000000000000000","traceID":"00000000000000000000000000000000","ruleGroup":{"file":"/etc/r.yml","name":"g"}}',
    ],
  ]
  const query: LoggedQuery = {
    query: 'up < "a"',
    startMs: 1_767_323_045_000,
    endMs: 1_767_323_045_000,
    stepMs: 0,
    error: null,
    timings: { queuedMs: 0.5, prepareMs: 1, evalMs: 2, sortMs: 4 },
    samples: { total: 7, read: 6, peak: 5, perStep: null },
    origin: null,
  }

  it.each(rows)('%s', async (_name, logged, line) => {
    const lines: string[] = []
    const log = new QueryLog({
      clock: simulatedClock(1_767_323_045_500),
      logger: silentLogger,
      metrics: new MetricsRegistry(),
      open: () => ({ write: (text) => void lines.push(text), close: () => Promise.resolve() }),
    })
    log.write({ ...query, ...logged }) // off: nothing happens
    expect(log.isOn).toBe(false)
    await log.use(log.open('/q.log'))
    log.write({ ...query, ...logged })
    expect(lines).toEqual([line])
  })

  it('is switched on, elsewhere and off; lost lines are counted and told once a minute', async () => {
    const events: string[] = []
    const lost: LinesLost[] = []
    const { logger, said } = keepingLogger()
    const metrics = new MetricsRegistry()
    const clock = simulatedClock(0)
    const open = (path: string, onLost: LinesLost) => {
      if (path === '/bad') throw new Error('cannot open /bad')
      events.push(`open ${path}`)
      lost.push(onLost)
      return { write: () => void events.push(`write ${path}`), close: async () => void events.push(`close ${path}`) }
    }
    const log = new QueryLog({ clock, logger, metrics, open })
    const shown = async (name: string): Promise<number | undefined> =>
      (await metrics.gather()).find((family) => family.name === `prometheus_engine_query_log_${name}`)?.samples[0]?.value
    expect(await shown('enabled')).toBe(0)
    await log.use(log.open('/a'))
    expect(await shown('enabled')).toBe(1)
    log.write(query)
    expect(() => log.open('/bad')).toThrow('cannot open /bad')
    log.write(query) // the one in use goes on
    await log.use(log.open('/a'))
    log.write(query)
    await log.use(null)
    log.write(query)
    expect(events).toEqual(['open /a', 'write /a', 'write /a', 'open /a', 'close /a', 'write /a', 'close /a'])
    expect(await shown('enabled')).toBe(0)
    expect(await shown('failures_total')).toBe(0)
    lost[0]!(3, 'disk full')
    lost[0]!(1, 'disk full')
    expect(await shown('failures_total')).toBe(4)
    expect(said).toEqual([['lines of the query log are lost', { lines: 3, err: 'disk full' }]])
  })
})

describe('active queries', () => {
  const rig = (disk: MemoryDisk, slots = 3) => {
    const { logger, said } = keepingLogger()
    return { active: new ActiveQueries('/data', slots, { disk, clock: simulatedClock(5_000), logger }), said }
  }
  const fileText = (disk: MemoryDisk): string => new TextDecoder().decode(disk.read('/data/queries.active')).replaceAll('\0', '')

  it('stand in slots of 1000 bytes behind a bracket', () => {
    const disk = new MemoryDisk()
    const { active, said } = rig(disk)
    expect(disk.stat('/data/queries.active').sizeBytes).toBe(3001)
    expect(fileText(disk)).toBe('[')
    const slots = ['a', 'b', 'c'].map((query) => active.insert(query)!)
    expect(active.insert('d')).toBeNull()
    const bytes = disk.read('/data/queries.active')
    expect(slots.map((slot) => bytes[1 + slot * 1000 + 999])).toEqual([44, 44, 44])
    active.remove(slots[1]!)
    expect(fileText(disk)).toBe('[{"query":"a","timestamp_sec":5},{"query":"c","timestamp_sec":5},')
    expect(active.insert('d')).toBe(slots[1])
    for (const slot of slots) active.remove(slot)
    expect(fileText(disk)).toBe('[')
    expect(said).toEqual([])
  })

  const long = 'x'.repeat(3000)
  const rows: readonly [name: string, query: string, kept: string][] = [
    ['quotes and lines', 'a{b="c"}\n\\', 'a{b="c"}\n\\'],
    ['what is too long', long, long.slice(0, 1000 - 1 - 30)],
    ['quotes at the cut', '"'.repeat(3000), '"'.repeat(Math.floor((1000 - 1 - 30) / 2))],
    ['characters of several bytes at the cut', '\u{1f600}'.repeat(400), '\u{1f600}'.repeat(Math.floor((1000 - 1 - 30) / 4))],
    ['control characters', '\u0001'.repeat(400), '\u0001'.repeat(Math.floor((1000 - 1 - 30) / 6))],
    ['half a pair', '\ud800', '\ud800'],
  ]
  it.each(rows)('the next start tells of %s', (_name, query, kept) => {
    const disk = new MemoryDisk()
    const first = rig(disk, 2)
    first.active.insert('up')
    first.active.insert(query)
    const { said } = rig(disk, 2)
    expect(said.map(([message]) => message)).toEqual(["These queries didn't finish in prometheus' last run:"])
    expect(JSON.parse(said[0]![1]['queries'] as string)).toEqual([
      { query: 'up', timestamp_sec: 5 },
      { query: kept, timestamp_sec: 5 },
    ])
    expect(rig(disk, 2).said).toEqual([]) // once
  })

  it('a file of Prometheus and an empty one', () => {
    for (const [text, queries] of [
      ['[{"query":"a","timestamp_sec":1}\0\0\0,\0\0\0', '[{"query":"a","timestamp_sec":1}]'],
      ['', null],
      ['[\0\0', null],
    ] as const) {
      const disk = new MemoryDisk()
      disk.makeDirectory('/data')
      disk.write('/data/queries.active', utf8Bytes(text))
      expect(rig(disk).said.map(([, fields]) => fields['queries'])).toEqual(queries === null ? [] : [queries])
    }
  })

  it('what is damaged is said with the file, and what can be read is told', () => {
    const whole = new MemoryDisk()
    const queries = ['up', 'sum by (job) (rate(x[5m]))', '"\u00fc\u{1f600}"']
    const first = rig(whole, 4)
    for (const query of queries) first.active.insert(query)
    first.active.remove(first.active.insert('ended')!)
    const bytes = whole.read('/data/queries.active')
    const rng = seededRng(7)
    let told = 0
    for (let round = 0; round < (process.env['LONG'] === '1' ? 20_000 : 600); round++) {
      const disk = new MemoryDisk()
      const damaged = rng.chance(0.3) ? bytes.slice(0, rng.below(bytes.length)) : bytes.slice()
      // mostly where there is something
      const at = rng.chance(0.6) ? 1 + rng.below(queries.length) * 1000 + rng.below(70) : rng.below(bytes.length)
      if (damaged.length === bytes.length) damaged[at]! ^= 1 << rng.below(8)
      disk.write('/data/queries.active', damaged)
      const { active, said } = rig(disk, 4)
      const warnings = said.filter(([message]) => message.startsWith('The log of active queries is damaged'))
      for (const [, fields] of warnings) expect(fields['file']).toBe('/data/queries.active')
      told += warnings.length
      const listed = said.flatMap(([, fields]) => (fields['queries'] === undefined ? [] : [fields['queries'] as string]))
      expect(said.length).toBe(warnings.length + listed.length)
      const entries = listed.flatMap((list) => JSON.parse(list) as { query: string; timestamp_sec: number }[])
      for (const entry of entries) expect(entry).toEqual({ query: expect.any(String), timestamp_sec: expect.any(Number) })
      // a letter that became another letter is nobody's to see; all others are as they were, or said to be missing
      const changed = entries.filter(({ query, timestamp_sec: seconds }) => !queries.includes(query) || seconds !== 5)
      expect(changed.length).toBeLessThan(2)
      if (damaged.length < bytes.length) expect(changed).toEqual([])
      if (entries.length < queries.length && damaged.length > 3000) expect(warnings.length).toBe(1)
      expect(disk.stat('/data/queries.active').sizeBytes).toBe(4001)
      active.close()
    }
    expect(told).toBeGreaterThan(100)
  })

  it('a torn entry is no query', () => {
    const disk = new MemoryDisk()
    disk.write('/data/queries.active', utf8Bytes('[{"query":"a'))
    expect(rig(disk).said.map(([, fields]) => fields)).toEqual([{ file: '/data/queries.active', err: '1 of its entries cannot be read' }])
  })

  it('a file that cannot be read stops no start', () => {
    class Unreadable extends MemoryDisk {
      override read(path: string): Uint8Array {
        throw new Error(`cannot read ${path}: input/output error`)
      }
    }
    const disk = new Unreadable()
    disk.write('/data/queries.active', utf8Bytes('['))
    const { active, said } = rig(disk)
    expect(said.map(([, fields]) => fields)).toEqual([
      { file: '/data/queries.active', err: 'cannot read /data/queries.active: input/output error' },
    ])
    expect(active.insert('up')).not.toBeNull()
  })

  it('a disk that fails costs entries, not queries', () => {
    let fails = false
    class FailingDisk extends MemoryDisk {
      override open(...given: Parameters<MemoryDisk['open']>): DiskFile {
        const file = super.open(...given)
        const write = file.write.bind(file)
        file.write = (bytes, position) => {
          if (fails) throw new Error('disk failed')
          write(bytes, position)
        }
        return file
      }
    }
    const { active, said } = rig(new FailingDisk())
    fails = true
    const slot = active.insert('a')!
    active.remove(slot)
    expect(active.insert('b')).toBe(slot)
    expect(said).toEqual([['Cannot write the log of active queries', { err: 'disk failed' }]])
    active.close()
    active.remove(0)
  })
})
