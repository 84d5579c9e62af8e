// The storage of one machine on a simulated disk and a virtual clock: opened, stopped at any operation of the disk, opened again.
import { silentLogger, type Logger } from '../../src/base/logger.ts'
import { startLane } from '../../actors/storage-shard/lane.ts'
import type { BlockOptions, LaneSetup } from '../../actors/storage-shard/lane-protocol.ts'
import { openStorage, type Storage } from '../../src/cli/serve/storage.ts'
import type { Compute } from '../../src/ports/compute.ts'
import { simulatedClock, type SimulatedClock } from '../../src/ports/simulated/clock.ts'
import { simulatedCompute } from '../../src/ports/simulated/compute.ts'
import { simulatedRandom } from '../../src/ports/simulated/random.ts'
import type { SimulatedDisk } from '../../src/ports/simulated/disk.ts'

export type WorldOptions = Readonly<{
  shards: number
  lanes: number
  samplesPerChunk: number
  chunkRangeMs: number
  walSegmentBytes: number
  blockSegmentBytesMax: number
  exemplarsMax: number
  blocks: BlockOptions
  outOfOrderTimeWindowMs: number
  staleSeriesCompactionThreshold: number
  sliceMs: number
  snapshotTailUs: number
  headResidentBytes?: number
  headSegmentBytes?: number
  /** Default: one that lives as long as the storage. */
  compute?: Compute
}>

export const smallWorld: WorldOptions = {
  shards: 2,
  lanes: 1,
  samplesPerChunk: 8,
  chunkRangeMs: 240_000,
  walSegmentBytes: 8 << 10,
  blockSegmentBytesMax: 512 << 20,
  exemplarsMax: 4,
  blocks: { retentionMs: 0, retentionBytes: 0, retentionPercentage: 0, maxBlockMs: 720_000, mergeOverlapping: true },
  outOfOrderTimeWindowMs: 0,
  staleSeriesCompactionThreshold: 0,
  sliceMs: 0,
  snapshotTailUs: 300,
}

/** A machine: its disk lives on, everything else is new at every `open`. */
export class StorageWorld {
  readonly disk: SimulatedDisk
  readonly options: WorldOptions
  /** What was logged as errors, since the last `open`. */
  errors: string[] = []
  warnings: string[] = []
  infos: string[] = []
  clock: SimulatedClock
  stopAt = Infinity

  constructor(disk: SimulatedDisk, startMs: number, options: WorldOptions) {
    this.disk = disk
    this.options = options
    this.clock = simulatedClock(startMs)
  }

  /** Runs the clock until the promise settles or the machine stops: null then. */
  async run<T>(promise: Promise<T>): Promise<T | null> {
    let result: { value: T } | { thrown: unknown } | null = null
    promise.then(
      (value) => (result = { value }),
      (thrown: unknown) => (result = { thrown }),
    )
    const settled = (): typeof result => result
    for (let steps = 0; ; steps++) {
      await this.clock.settle()
      const done = settled()
      if (this.disk.operations >= this.stopAt) return null
      if (done !== null) {
        if ('thrown' in done) throw done.thrown
        return done.value
      }
      if (steps > 3_000 || !(await this.clock.step())) throw new Error('simulation hangs: no timer is left')
    }
  }

  /** Stops the machine before the disk's operation `after` from now. */
  stopAfter(after: number): void {
    this.stopAt = this.disk.operations + after
    this.disk.stopAt(this.stopAt)
  }

  /** What was not durable is lost; time goes on. */
  crash(): void {
    this.disk.crash()
    this.stopAt = Infinity
    this.clock = simulatedClock(this.clock.nowMs() + 1000)
  }

  /** Null where the machine stopped on the way. */
  open(): Promise<Storage | null> {
    this.errors = []
    this.warnings = []
    this.infos = []
    const logger: Logger = {
      ...silentLogger,
      error: (fields, message) => void this.errors.push(`${message} ${JSON.stringify(fields)}`),
      warn: (fields, message) => void this.warnings.push(`${message} ${JSON.stringify(fields)}`),
      info: (fields, message) => void this.infos.push(`${message} ${JSON.stringify(fields)}`),
      child: () => logger,
    }
    const { disk, clock, options } = this
    const random = simulatedRandom(1)
    return this.run(
      openStorage(
        { dataDirectory: '/data', lockFile: true, ...options },
        {
          disk,
          clock,
          random,
          compute: options.compute ?? simulatedCompute(options.lanes),
          logger,
          laneProgram: (port, setup) => startLane(port, setup as LaneSetup, { disk, clock, random }),
        },
      ),
    )
  }

  /** Paths of all files below a directory. */
  files(directory = '/data'): string[] {
    return this.disk.list(directory).flatMap((name) => {
      const path = `${directory}/${name}`
      return this.disk.stat(path).isDirectory ? this.files(path) : [path]
    })
  }
}
