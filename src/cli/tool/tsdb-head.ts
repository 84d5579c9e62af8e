// The head of Promhive as it lies in ‹data›/promhive/, for tools that read a data directory: nothing is changed there, and a server may be running on it.
//
//   load    newest whole snapshot and full chunks of every shard ─▶ one head in memory
//   (the caller opens the blocks: what leaves the shards' heads from now on is in this one, and what left them before is a block)
//   replay  records of the log behind the snapshots ─▶ head; their deletions ─▶ blocks as well, where those do not have them yet
//
// What is damaged is told and passed over, as when a server starts. Windows are not cut: what a block holds already is there twice, and the same.
import { messageOf } from '../../base/errors.ts'
import { silentLogger, type Logger } from '../../base/logger.ts'
import { compareText, type Labels } from '../../model/labels.ts'
import type { CompiledMatcher } from '../../model/matching.ts'
import { SampleColumns } from '../../model/samples.ts'
import type { Disk } from '../../ports/disk.ts'
import { blockNames } from '../../tsdb/block/directory.ts'
import { isPartOfWindow, readMeta } from '../../tsdb/block/meta.ts'
import type { BlockReader } from '../../tsdb/block/reader.ts'
import { ChunkStore } from '../../tsdb/head/chunk-store.ts'
import { ExemplarRing } from '../../tsdb/head/exemplars.ts'
import { Head } from '../../tsdb/head/head.ts'
import { seriesInRange } from '../../tsdb/head/metadata.ts'
import { readInOrder, readSeries } from '../../tsdb/head/read.ts'
import { viewLog, type OpenedLog } from '../../../cluster/embedded/log-open.ts'
import { LogReader } from '../../../cluster/embedded/log-read.ts'
import { readProgress } from '../../../actors/storage-shard/block-deletions.ts'
import { cutUntil, shardOf } from '../../../actors/storage-shard/lane-blocks.ts'
import { countFields, Shard } from '../../../actors/storage-shard/shard.ts'
import { FileBuffer, readSnapshot, shardDirectory } from '../../../actors/storage-shard/shard-files.ts'

/** Told what cannot be read; `isGone`: because a file is not there, which a server that runs may have removed. */
export type TellProblem = (message: string, isGone: boolean) => void

/** Sorted series of the head, each with its samples. */
export type HeadSet = Readonly<{ length: number; labels(index: number): Labels; append(index: number, into: SampleColumns): void }>

/** How chunks are filled; it shows nowhere in what is read. */
const samplesPerChunk = 120
const chunkRangeMsDefault = 2 * 3_600_000

export class OwnHead {
  readonly #disk: Disk
  readonly #path: string
  readonly #tell: TellProblem
  readonly #head: Head
  readonly #shards = new Map<number, Shard>()
  /** By shard: the first offset whose deletions its blocks may lack. */
  readonly #deleted = new Map<number, number>()
  readonly #log: Logger
  #blocks: readonly BlockReader[] = []
  #ranks: Uint32Array | null = null

  /** Null where no Promhive has run on the directory. `disk` need not be able to write. */
  static load(disk: Disk, path: string, tell: TellProblem): OwnHead | null {
    if (disk.list(`${path}/promhive/log`).length === 0 && disk.list(`${path}/promhive/shards`).length === 0) return null
    return new OwnHead(disk, path, tell)
  }

  private constructor(disk: Disk, path: string, tell: TellProblem) {
    this.#disk = disk
    this.#path = path
    this.#tell = tell
    this.#log = problemLogger(tell)
    // all chunks are kept in memory: their files may be replaced or removed at any time
    const chunks = new ChunkStore(
      disk,
      (shard) => `${shardDirectory(path, shard)}/chunks`,
      Infinity,
      (problem) => tell(`head chunks are damaged, ${problem.chunks} are lost: ${problem.why}`, !disk.exists(problem.path)),
    )
    this.#head = new Head(chunks, { samplesPerChunk, chunkRangeMs: chunkRange(disk, path) })
    const buffer = new FileBuffer()
    for (const id of shardsIn(disk, path)) this.#load(id, buffer)
    // none has been released: these are all
    for (let chunk = 0; chunk < chunks.live; chunk++) chunks.isLost(chunk)
    this.#head.index()
  }

  #load(id: number, buffer: FileBuffer): void {
    const found = readSnapshot(this.#disk, this.#path, {
      shard: id,
      head: this.#head,
      buffer,
      onDamaged: (name, problem) => {
        const path = `${shardDirectory(this.#path, id)}/${name}`
        this.#tell(`a head snapshot is damaged, the one before and the log are used: ${path}: ${problem}`, !this.#disk.exists(path))
      },
    })
    if (found !== null) this.#shard(id).restore(found.state)
    const done = readProgress(this.#disk, this.#path, id, (path, problem) =>
      this.#tell(`the file is damaged, deletions of the log are repeated: ${path}: ${problem}`, !this.#disk.exists(path)),
    )
    this.#deleted.set(id, done)
  }

  /** Goes on to the end of the log. What it deletes is hidden in `blocks`, which were opened after `load`. */
  async replay(blocks: readonly BlockReader[]): Promise<void> {
    this.#blocks = blocks
    const log = await viewLog(this.#disk, `${this.#path}/promhive/log`, () => Promise.resolve())
    try {
      for (const damage of log.damage) this.#tell(`the log is damaged: ${damage}`, false)
      for (const id of new Set([...this.#shards.keys(), ...log.shards.keys()])) this.#replay(log, this.#shard(id))
    } finally {
      for (const { file } of log.segments) file.close()
    }
  }

  #replay(log: OpenedLog, shard: Shard): void {
    const reader = new LogReader(log.shards)
    const end = log.shards.get(shard.id)?.last ?? 0
    if (end < shard.applied) {
      const what = `record ${shard.applied} of shard ${shard.id} is in a snapshot, the log ends at ${end}`
      this.#tell(`the log ends early: ${this.#path}/promhive/log: ${what}`, false)
    }
    const counts = new Float64Array(countFields.length)
    const refusals: number[] = []
    const lost: { from: number; until: number; why: string }[] = []
    for (let next = shard.applied + 1; next <= end; next = shard.applied + 1) {
      const span = reader.span(shard.id, next, end)
      if ('failure' in span) {
        const { failure } = span
        const until = failure.kind === 'truncated' ? failure.first - 1 : failure.kind === 'corrupt' ? failure.offset : end
        const why = failure.kind === 'corrupt' ? failure.why : 'they are not there any more'
        const before = lost.at(-1)
        if (before !== undefined && before.until === next - 1 && before.why === why) before.until = until
        else lost.push({ from: next, until, why })
        // as a server starts: where its own state is lost, a shard does not take what its blocks cover
        if (shard.applied === 0) shard.cutUntil = Math.max(shard.cutUntil, cutUntil(this.#blocks, shard.id))
        shard.skip(until)
        if (failure.kind === 'truncated') this.#tell(lostText(this.#path, shard.id, lost.pop()!), true)
        continue
      }
      for (const { offset, publisher, sequence, bytes } of span.records) {
        refusals.length = 0
        shard.apply(offset, publisher, sequence, bytes, counts, refusals)
      }
    }
    for (const each of lost) this.#tell(lostText(this.#path, shard.id, each), false)
  }

  #shard(id: number): Shard {
    const known = this.#shards.get(id)
    if (known !== undefined) return known
    const shard = new Shard(id, this.#head, new ExemplarRing(0), this.#log)
    shard.onDeletions = (offset, deletions) => {
      if (offset < (this.#deleted.get(id) ?? 0)) return
      for (const block of this.#blocks) {
        if (shardOf(block.meta) !== id) continue
        for (const { matchers, startMs, endMs } of deletions) block.hide(matchers, startMs, endMs)
      }
    }
    shard.onCutStaleSeries = () => this.#endSeries(shard)
    this.#shards.set(id, shard)
    return shard
  }

  /** What a cut of stale series does without a block to put them into: they start anew, and what they held is kept beside it, like late samples. */
  #endSeries(shard: Shard): void {
    const head = this.#head
    const columns = new SampleColumns()
    for (const series of shard.endedSeries()) {
      columns.clear()
      readInOrder(head, series, -Infinity, Infinity, columns)
      head.clearSamples(series)
      for (let i = 0; i < columns.length; i++) {
        const given = { high: columns.bits[i * 2 + 1]!, low: columns.bits[i * 2]!, histogram: columns.histograms?.[i] ?? null }
        head.outOfOrder.insert(shard.id, series, columns.times[i]!, given)
      }
    }
  }

  /** Series that pass any of the selectors and have samples in the closed range, in label order. */
  select(selectors: readonly (readonly CompiledMatcher[])[], startMs: number, endMs: number): HeadSet {
    const head = this.#head
    const found = selectors.length === 0 ? new Uint32Array(0) : seriesInRange(head, selectors, startMs, endMs)
    const ranks = (this.#ranks ??= pairRanks(head))
    found.sort((a, b) => compareSeries(head, ranks, a, b))
    return {
      length: found.length,
      labels: (index) => head.labels(found[index]!),
      append: (index, into) => readSeries(head, found[index]!, startMs, endMs, into),
    }
  }
}

/** Names of what a running server adds and removes: while they stay, so does what is read. */
export function namesOfFiles(disk: Disk, path: string): string {
  const shards = shardsIn(disk, path).map((id) => shardDirectory(path, id))
  const directories = [path, `${path}/promhive/log`, ...shards.flatMap((shard) => [shard, `${shard}/chunks`])]
  return JSON.stringify(directories.map((directory) => disk.list(directory)))
}

function shardsIn(disk: Disk, path: string): number[] {
  const names = disk.list(`${path}/promhive/shards`).filter((name) => /^\d+$/.test(name))
  return names.map(Number).sort((a, b) => a - b)
}

/** The windows that the directory's blocks were cut in: how far behind its newest sample a shard took others depends on it. */
function chunkRange(disk: Disk, path: string): number {
  let shortest = Infinity
  for (const ulid of blockNames(disk, path)) {
    try {
      const meta = readMeta(disk, `${path}/${ulid}`)
      if (meta.shard !== null && meta.compaction.level === 1 && !isPartOfWindow(meta))
        shortest = Math.min(shortest, meta.maxTime - meta.minTime)
    } catch {
      // it is told when the blocks are opened
    }
  }
  return shortest === Infinity ? chunkRangeMsDefault : shortest
}

function lostText(path: string, shard: number, { from, until, why }: Readonly<{ from: number; until: number; why: string }>): string {
  const records = from === until ? `record ${from}` : `records ${from} to ${until}`
  return `the log is damaged: ${path}/promhive/log: ${records} of shard ${shard}: ${why}`
}

/** Places of all label pairs in the order of their names, then values. */
function pairRanks({ pairs, postings }: Head): Uint32Array {
  const used = Uint32Array.from({ length: pairs.count }, (_, pair) => pair).filter((pair) => postings.count(pair) > 0)
  used.sort((a, b) => compareText(pairs.name(a), pairs.name(b)) || compareText(pairs.value(a), pairs.value(b)))
  const ranks = new Uint32Array(pairs.count)
  used.forEach((pair, rank) => (ranks[pair] = rank))
  return ranks
}

/** As `compareLabels` of their labels. */
function compareSeries({ labelLists }: Head, ranks: Uint32Array, a: number, b: number): number {
  const [pageA, pageB] = [labelLists.page(a), labelLists.page(b)]
  const [startA, startB] = [labelLists.start(a), labelLists.start(b)]
  const [countA, countB] = [pageA[startA]!, pageB[startB]!]
  for (let k = 1; k <= countA && k <= countB; k++) {
    const difference = ranks[pageA[startA + k]!]! - ranks[pageB[startB + k]!]!
    if (difference !== 0) return difference
  }
  return countA - countB
}

/** What a shard has to say of its records. */
function problemLogger(tell: TellProblem): Logger {
  const logger: Logger = {
    ...silentLogger,
    error: (fields, message) => {
      const details = Object.entries(fields).map(([name, value]) => `${name} ${messageOf(value)}`)
      tell(`${message} (${details.join(', ')})`, false)
    },
    child: () => logger,
  }
  return logger
}
