// Where the records of each shard lie: per segment a run of consecutive offsets with positions and lengths in typed arrays, 8 bytes a record.
// An offset between the shard's first and last that is in no run is lost to damage.
import { assert } from '../../src/base/assert.ts'
import type { DiskFile } from '../../src/ports/disk.ts'

export type Segment = {
  readonly number: number
  readonly file: DiskFile
  /** Bytes known to be on the disk: where the next batch goes. */
  size: number
  /** Last offset per shard with a record in this segment. */
  readonly lastWithin: Map<number, number>
}

export class Run {
  readonly segment: Segment
  readonly first: number
  count = 0
  positions = new Uint32Array(16)
  lengths = new Uint32Array(16)
  constructor(segment: Segment, first: number) {
    this.segment = segment
    this.first = first
  }
  push(position: number, length: number): void {
    if (this.count === this.positions.length) {
      this.positions = grown(this.positions)
      this.lengths = grown(this.lengths)
    }
    this.positions[this.count] = position
    this.lengths[this.count++] = length
  }
}

function grown(array: Uint32Array<ArrayBuffer>): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(array.length * 2)
  larger.set(array)
  return larger
}

export class ShardIndex {
  /** Last durable offset. */
  last = 0
  /** Records below were trimmed. */
  trimmed = 1
  /** Records below went with their segments. */
  base = 1
  readonly runs: Run[] = []
  readonly #shard: number

  constructor(shard: number) {
    this.#shard = shard
  }

  get first(): number {
    return Math.min(Math.max(this.trimmed, this.base), this.last + 1)
  }

  /** The next record; a gap before it opens a new run. */
  add(segment: Segment, offset: number, position: number, length: number): void {
    assert(offset > this.last, `offset ${offset} behind ${this.last}`)
    let run = this.runs.at(-1)
    if (run === undefined || run.segment !== segment || run.first + run.count !== offset) {
      run = new Run(segment, offset)
      this.runs.push(run)
    }
    run.push(position, length)
    this.last = offset
    segment.lastWithin.set(this.#shard, offset)
  }

  /** The run that holds the offset. */
  find(offset: number): Run | null {
    let low = 0
    let high = this.runs.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.runs[middle]!.first <= offset) low = middle + 1
      else high = middle
    }
    const run = this.runs[low - 1]
    return run !== undefined && offset < run.first + run.count ? run : null
  }

  /** Forgets what lies in a segment that is dropped; `base` is the first offset behind it. */
  drop(segment: Segment, base: number): void {
    while (this.runs.length > 0 && this.runs[0]!.segment === segment) this.runs.shift()
    this.base = Math.max(this.base, base)
  }
}
