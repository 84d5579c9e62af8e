// The main thread's side of a storage worker, with a log and a worker that are told what to do.
import { expect, it } from 'vitest'
import { Lanes } from '../../../actors/storage-shard/lanes.ts'
import type { FromLane, LaneSetup, ToLane } from '../../../actors/storage-shard/lane-protocol.ts'
import type { Log, LogReadFailure, LogRecord } from '../../../cluster/ports.ts'
import { silentLogger } from '../../../src/base/logger.ts'
import { seededRng } from '../../../src/base/rng.ts'
import type { LanePort } from '../../../src/ports/compute.ts'
import { nodeClock } from '../../../src/ports/node/clock.ts'
import { simulatedCompute } from '../../../src/ports/simulated/compute.ts'

const shards = [0, 1]
type Follower = Readonly<{ shard: number; handler: (record: LogRecord) => void }>

/** A log that held `count` records a shard when it was opened; one of them may be damaged. */
class FakeLog implements Log {
  readonly #count: number
  readonly #bytes: number
  readonly #damaged: number
  readonly followers: Follower[] = []

  constructor(count: number, bytes: number, damaged = 0) {
    this.#count = count
    this.#bytes = bytes
    this.#damaged = damaged
  }
  record(offset: number): LogRecord {
    return { offset, publisher: 0, sequence: offset, bytes: new Uint8Array(this.#bytes) }
  }
  follow(shard: number, from: number, handler: (record: LogRecord) => void, failed: (why: LogReadFailure) => void): () => void {
    void (async () => {
      for (let offset = from; offset <= this.#count; offset++) {
        await Promise.resolve() // each in a read of its own
        if (offset === this.#damaged) return failed({ kind: 'corrupt', offset, why: 'checksum' })
        handler(this.record(offset))
      }
      this.followers.push({ shard, handler })
    })()
    return () => {}
  }
  end = (): number => this.#count
  first = (): number => 1
  trim = async (): Promise<void> => {}
  close = async (): Promise<void> => {}
  append = (): never => {
    throw new Error('nobody appends')
  }
  read = this.append
}

/** Starts a worker that applies what it gets. @returns what it was told, in order. */
async function started(log: FakeLog, onRecords: (port: LanePort) => void = () => {}): Promise<{ lanes: Lanes; told: ToLane[] }> {
  const told: ToLane[] = []
  const inline = (port: LanePort, setup: unknown): void => {
    const say = (message: FromLane): void => port.send(message)
    const applied = (offsets: readonly number[]): void => say({ kind: 'applied', offsets: Float64Array.from(offsets), refusals: null })
    for (const shard of (setup as LaneSetup).shards) say({ kind: 'opened', shard, applied: 0, publisher: 0 })
    port.onMessage((given) => {
      const message = given as ToLane
      told.push(message)
      if (message.kind === 'records') {
        onRecords(port)
        applied(message.records.flatMap(({ shard, offset }) => [shard, offset]))
      } else if (message.kind === 'skip') applied([message.shard, message.until])
    })
  }
  const lanes = new Lanes({
    compute: simulatedCompute(),
    entry: { module: new URL('file:///lane.ts'), inline },
    clock: nodeClock(),
    random: seededRng(1),
    logDirectory: '/log',
    logger: silentLogger,
    replay: { total: 0, done: 0 },
    lanes: 1,
    setup: { shardsTotal: shards.length } as Omit<LaneSetup, 'lane' | 'shards' | 'cancelFlags' | 'labelStamps'>,
    onTrimmed: () => {},
    onApplied: () => {},
  })
  await lanes.start(Promise.resolve(log))
  return { lanes, told }
}

/** Offsets of a shard's records, and what else it was told, in order. */
function toldOf(shard: number, told: readonly ToLane[]): (number | string)[] {
  return told.flatMap((message): (number | string)[] => {
    if (message.kind === 'records') return message.records.filter((record) => record.shard === shard).map(({ offset }) => offset)
    return 'shard' in message && message.shard === shard ? [message.kind] : []
  })
}
const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i + 1)

it('sends what is replayed in few messages, in order, and says when a shard has caught up', async () => {
  const { lanes, told } = await started(new FakeLog(200, 1_000))
  await new Promise((resolve) => setTimeout(resolve))
  for (const shard of shards) expect(toldOf(shard, told)).toEqual([...upTo(200), 'caughtUp'])
  // 400 KB, in messages of a quarter of a MiB, and the ends
  expect(told.filter(({ kind }) => kind === 'records').length).toBeLessThanOrEqual(4)
  expect(lanes.replay).toEqual({ total: 400, done: 400 })
})

it('does not gather more than a message is to hold', async () => {
  const { told } = await started(new FakeLog(10, 100_000))
  const sizes = told.map((message) => (message.kind === 'records' ? message.records.length : 0))
  expect(Math.max(...sizes)).toBeLessThanOrEqual(4)
})

it('sends what becomes durable later at once', async () => {
  const log = new FakeLog(3, 10)
  const { told } = await started(log)
  await new Promise((resolve) => setTimeout(resolve))
  const before = told.length
  log.followers.find(({ shard }) => shard === 1)!.handler(log.record(4))
  await new Promise((resolve) => setTimeout(resolve))
  expect(toldOf(1, told.slice(before))).toEqual([4])
})

it('a damaged record comes neither before nor instead of those around it', async () => {
  const { lanes, told } = await started(new FakeLog(9, 10, 5))
  await new Promise((resolve) => setTimeout(resolve))
  for (const shard of shards) expect(toldOf(shard, told)).toEqual([1, 2, 3, 4, 'skip', 6, 7, 8, 9, 'caughtUp'])
  expect(lanes.recordsCorrupt).toBe(2)
})

it('a damaged record at the end leaves nothing waiting', async () => {
  const { told } = await started(new FakeLog(5, 10, 5))
  await new Promise((resolve) => setTimeout(resolve))
  for (const shard of shards) expect(toldOf(shard, told)).toEqual([1, 2, 3, 4, 'skip', 'caughtUp'])
})
