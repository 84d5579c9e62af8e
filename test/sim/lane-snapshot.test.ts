// Snapshots that are written in steps while records go on being applied, in a storage worker that stops at any operation of its disk: with what its
// snapshots hold and the log behind them it is the same as one that never stopped.
import { expect, it } from 'vitest'
import { seededRng, type Rng } from '../../src/base/rng.ts'
import { labelBytes } from '../../src/model/label-bytes.ts'
import { labelsFromObject } from '../../src/model/labels.ts'
import type { LanePort } from '../../src/ports/compute.ts'
import { simulatedClock, type SimulatedClock } from '../../src/ports/simulated/clock.ts'
import { simulatedDisk, type SimulatedDisk } from '../../src/ports/simulated/disk.ts'
import { simulatedRandom } from '../../src/ports/simulated/random.ts'
import { staleHistogram } from '../../src/tsdb/chunks/histogram.ts'
import { startLane } from '../../actors/storage-shard/lane.ts'
import { cancelSlots, type FromLane, type LaneRecord, type LaneSetup, type ToLane } from '../../actors/storage-shard/lane-protocol.ts'
import { WriteBatchBuilder } from '../../protocols/bus/write-batch.ts'
import { everything } from '../support/storage-model.ts'
import { smallWorld } from '../support/storage-world.ts'

const baseMs = 1_699_999_800_000
const shards = [0, 1]
const seriesPerShard = 12

/** The log: floats, histograms, late samples, deletions now and then, and series that come later. */
function records(rng: Rng, count: number): LaneRecord[] {
  const builder = new WriteBatchBuilder()
  const offsets = shards.map(() => 0)
  const announced = shards.map(() => 0)
  return Array.from({ length: count }, (_, i) => {
    const shard = shards[rng.below(shards.length)]!
    const time = baseMs + i * 1_500
    if (announced[shard] === 0 || (announced[shard]! < seriesPerShard && rng.chance(0.1))) {
      for (let n = announced[shard] === 0 ? 6 : 1; n > 0; n--) {
        const ref = announced[shard]!++
        builder.announce(ref, labelBytes(labelsFromObject({ __name__: `s${shard}_${ref}`, job: `j${ref % 3}` })))
      }
    }
    for (let ref = 0; ref < announced[shard]!; ref++) {
      if (ref % 4 === 3) {
        const buckets = Float64Array.of(i, i * 2)
        const positiveSpans = [{ offset: 0, length: 2 }]
        const histogram = { ...staleHistogram, isFloat: false, count: i * 3, sum: i, positiveSpans, positiveBuckets: buckets }
        builder.addHistogram({ ref, timeMs: time + ref, startTimeMs: 0, histogram })
      } else builder.add(ref, time + ref, ref % 4 === 0 ? 7 : rng.below(1_000))
      if (ref % 4 === 1 && rng.chance(0.2)) builder.add(ref, time - 20_000 - ref, 5)
    }
    if (rng.chance(0.02)) {
      const matchers = [{ name: '__name__', kind: '=' as const, value: `s${shard}_1` }]
      builder.addDeletion({ matchers, startMs: time - 30_000, endMs: time - 10_000 })
    }
    return { shard, offset: ++offsets[shard]!, publisher: 1, sequence: offsets[shard]!, bytes: builder.encode(time, 60_000) }
  })
}

/** One life of a worker. */
class Life {
  readonly clock: SimulatedClock
  readonly applied = shards.map(() => -1)
  readonly trimmed = shards.map(() => 0)
  /** Newest offset each shard was given. */
  readonly given = shards.map(() => 0)
  /** Snapshots that were of an earlier state than that of their shard when they were written. */
  overtaken = 0
  readonly #disk: SimulatedDisk
  #toLane: (message: unknown) => void = () => {}
  #answer: unknown = null

  constructor(disk: SimulatedDisk, startMs: number) {
    this.#disk = disk
    this.clock = simulatedClock(startMs)
    const port: LanePort = {
      send: (message) => this.#heard(message as FromLane),
      onMessage: (handler) => void (this.#toLane = handler),
      take: () => undefined,
    }
    const setup: LaneSetup = {
      ...smallWorld,
      lane: 0,
      dataDirectory: '/data',
      shards,
      shardsTotal: shards.length,
      residentBytesMax: 3 << 20,
      snapshotEveryMs: 50,
      cancelFlags: new SharedArrayBuffer(cancelSlots * 4),
      labelStamps: new SharedArrayBuffer(4),
    }
    startLane(port, setup, { disk, clock: this.clock, random: simulatedRandom(1) })
  }

  #heard(message: FromLane): void {
    if (message.kind === 'opened') this.applied[message.shard] = message.applied
    else if (message.kind === 'answer') this.#answer = message.body
    else if (message.kind === 'snapshot') {
      this.trimmed[message.shard] = Math.max(this.trimmed[message.shard]!, message.trimBefore)
      const names = this.#disk.list(`/data/promhive/shards/${message.shard}`).filter((name) => name.startsWith('snapshot-'))
      if (Number(names.at(-1)!.slice('snapshot-'.length)) < this.given[message.shard]!) this.overtaken++
    }
  }

  tell(message: ToLane): void {
    if (message.kind === 'records') for (const { shard, offset } of message.records) this.given[shard] = offset
    this.#toLane(message)
  }

  caughtUp(): void {
    for (const shard of shards) this.tell({ kind: 'caughtUp', shard })
  }

  samples(): unknown {
    this.tell({ kind: 'request', id: 1, slot: 0, op: 'samples', body: everything })
    const answer = this.#answer as readonly Readonly<{ labels: readonly string[]; times: Float64Array; values: Float64Array }>[]
    const lines = answer.map(({ labels, times, values }) => `${labels.join()} ${[...times, ...values].join()}`)
    return lines.sort()
  }
}

/** Everything in one go, and then time for what is to become blocks. */
async function expected(log: readonly LaneRecord[]): Promise<unknown> {
  const life = new Life(simulatedDisk(seededRng(1)), baseMs)
  life.caughtUp()
  for (const record of log) life.tell({ kind: 'records', records: [record] })
  await life.clock.advance(1_000)
  return life.samples()
}

it.each([1, 2, 3, 4, 5, 6, 7, 8])(
  'snapshots that records overtake are whole after a crash, seed %i',
  { timeout: 120_000 },
  async (seed) => {
    const rng = seededRng(seed)
    const log = records(rng, 300)
    const wanted = await expected(log)
    const disk = simulatedDisk(rng)
    let overtaken = 0
    let nowMs = baseMs
    const trimmed = shards.map(() => 0)
    for (let from = 0, lives = 0; ; lives++) {
      const life = new Life(disk, nowMs)
      // what it needs is still in the log
      for (const shard of shards) expect(life.applied[shard]! + 1).toBeGreaterThanOrEqual(trimmed[shard]!)
      // what was durable is there again; the rest comes as before
      const replayed = log.slice(0, from).filter(({ shard, offset }) => offset > life.applied[shard]!)
      life.tell({ kind: 'records', records: replayed })
      life.caughtUp()
      const stopAt = disk.operations + 20 + rng.below(150)
      if (lives < 12) disk.stopAt(stopAt)
      try {
        while (from < log.length && (lives >= 12 || disk.operations < stopAt)) {
          life.tell({ kind: 'records', records: [log[from]!] })
          from++
          await life.clock.advance(rng.chance(0.02) ? rng.below(3_000) : 1 + rng.below(2))
        }
        if (from === log.length) {
          await life.clock.advance(1_000)
          expect(life.samples()).toEqual(wanted)
          overtaken += life.overtaken
          break
        }
      } catch (thrown) {
        if (disk.operations < stopAt) throw thrown
      }
      overtaken += life.overtaken
      for (const shard of shards) trimmed[shard] = Math.max(trimmed[shard]!, life.trimmed[shard]!)
      disk.crash()
      nowMs = life.clock.nowMs() + 1_000
    }
    expect(overtaken).toBeGreaterThan(3)
  },
)
