// `tsdb create-blocks-from openmetrics` (FEATURES 3.25, 9.14). Source: prometheus cmd/promtool/backfill.go.
import type { SampleEntry } from '../../../protocols/exposition/entries.ts'
import { readTextPieces, type TextSource } from '../../../protocols/exposition/pieces.ts'
import { messageOf, PromhiveError } from '../../base/errors.ts'
import { compareLabels, labelPairs, labelsFrom, labelsKey, type Labels } from '../../model/labels.ts'
import { SampleColumns } from '../../model/samples.ts'
import type { Disk } from '../../ports/disk.ts'
import { newCompaction, type BlockMeta } from '../../tsdb/block/meta.ts'
import { PageCache } from '../../tsdb/block/pages.ts'
import { BlockReader } from '../../tsdb/block/reader.ts'
import { BlockWriter } from '../../tsdb/block/writer.ts'
import { encodeChunks } from '../../tsdb/chunks/encode.ts'
import { chunkTimeMax } from '../../tsdb/chunks/xor-append.ts'
import { blockRanges } from '../../tsdb/compact/plan.ts'
import { inOrder } from './tsdb-database.ts'
import { timeText } from './tsdb-table.ts'
import { noProgress, type Progress } from './progress.ts'
import { printBlocks } from './tsdb-list.ts'

const defaultBlockMs = 2 * 3_600_000

export type CreateBlocksOptions = Readonly<{
  outputDirectory: string
  humanReadable: boolean
  quiet: boolean
  /** --max-block-duration; 0 = two hours. */
  maxBlockMs: number
  /** --label: set on every series. */
  labels: readonly (readonly [name: string, value: string])[]
}>

/** What the tool needs of the world: a disk, and a new name for every block. */
export type CreateBlocksIo = Readonly<{ disk: Disk; newUlid(): string; print(line: string): void; progress?: Progress }>

/** Read at a time; a line may be as long. */
const pieceBytes = 32 << 20
/** Samples held at a time, but for those of one block. */
const heldMax = 32 << 20

/**
 * Reads an OpenMetrics text and writes a block for each aligned range that has samples. A text of more than `samplesMax` samples is read again and again, for
 * the blocks of so many each time. Throws PromhiveError, whose message is what promtool prints.
 */
export function createBlocksFromOpenMetrics(
  input: TextSource,
  options: CreateBlocksOptions,
  io: CreateBlocksIo,
  samplesMax = heldMax,
): BlockMeta[] {
  io.disk.makeDirectory(options.outputDirectory)
  const blocks = new BackfillBlocks(options, io)
  const { blockMs } = blocks
  const progress = io.progress ?? noProgress
  const counts = new Map<number, number>()
  let all: HeldSeries | null = new HeldSeries(options.labels)
  let samples = 0
  for (const sample of samplesOf(input)) {
    const start = Math.floor(sample.timeMs / blockMs) * blockMs
    counts.set(start, (counts.get(start) ?? 0) + 1)
    if (++samples > samplesMax) all = null
    all?.add(sample)
    if ((samples & 0xffff) === 0) progress(() => `read ${samples} samples${all === null ? '' : ` of ${all.series.length} series`}`)
  }
  if (all !== null) blocks.write(all.series)
  else {
    for (const { from, until } of partsOf(counts, samplesMax)) {
      const part = new HeldSeries(options.labels)
      progress(() => `reading the samples from ${timeText(from, true)} on`)
      for (const sample of samplesOf(input)) if (sample.timeMs >= from && sample.timeMs < until) part.add(sample)
      blocks.write(part.series)
    }
  }
  return blocks.written
}

type TimedSample = SampleEntry & Readonly<{ timeMs: number }>

function* samplesOf(input: TextSource): Generator<TimedSample> {
  try {
    for (const entry of readTextPieces(input, pieceBytes)) {
      if (entry.kind !== 'sample') continue
      if (entry.timeMs === null) throw new PromhiveError('BAD_REQUEST', 'expected timestamp for series got none')
      if (!(Math.abs(entry.timeMs) < chunkTimeMax))
        throw new PromhiveError('BAD_REQUEST', `timestamp ${entry.timeMs / 1000} is out of range`)
      yield entry as TimedSample
    }
  } catch (thrown) {
    const why = messageOf(thrown)
    const message = thrown instanceof PromhiveError && thrown.code === 'SCRAPE' ? `next: ${why}` : why
    throw new PromhiveError('BAD_REQUEST', `getting min and max timestamp: ${message}`, {}, thrown)
  }
}

/** Parts of the time, `until` excluded, that have so many samples at most, or one range each. @param counts samples by start of their range. */
function partsOf(counts: ReadonlyMap<number, number>, samplesMax: number): { from: number; until: number }[] {
  const parts: { from: number; until: number }[] = []
  let held = 0
  const starts = [...counts.keys()].sort((a, b) => a - b)
  for (const [i, start] of starts.entries()) {
    const until = starts[i + 1] ?? Infinity
    held += counts.get(start)!
    if (parts.length > 0 && held <= samplesMax) parts.at(-1)!.until = until
    else {
      parts.push({ from: start, until })
      held = counts.get(start)!
    }
  }
  return parts
}

/** Series with samples in the order given. */
export type BackfillSeries = { readonly labels: Labels; readonly columns: SampleColumns }

class HeldSeries {
  readonly series: BackfillSeries[] = []
  readonly #extra: CreateBlocksOptions['labels']
  readonly #byLabels = new Map<string, BackfillSeries>()
  readonly #byExposed = new Map<string, BackfillSeries>()

  constructor(extra: CreateBlocksOptions['labels']) {
    this.#extra = extra
  }

  add({ key, labels, timeMs, value }: TimedSample): void {
    let found = this.#byExposed.get(key)
    if (found === undefined) this.#byExposed.set(key, (found = this.#seriesOf(labelsFrom([...labelPairs(labels), ...this.#extra]))))
    found.columns.push(timeMs, value)
  }

  #seriesOf(labels: Labels): BackfillSeries {
    const key = labelsKey(labels)
    let series = this.#byLabels.get(key)
    if (series === undefined) {
      series = { labels, columns: new SampleColumns(8) }
      this.#byLabels.set(key, series)
      this.series.push(series)
    }
    return series
  }
}

/** Writes samples as blocks of one length, one for each range with samples in it; prints each. */
export class BackfillBlocks {
  readonly written: BlockMeta[] = []
  readonly blockMs: number
  readonly #options: CreateBlocksOptions
  readonly #io: CreateBlocksIo
  #printed = false
  constructor(options: CreateBlocksOptions, io: CreateBlocksIo) {
    this.#options = options
    this.#io = io
    this.blockMs = compatibleBlockMs(options.maxBlockMs)
  }

  /** Samples may come in any order; of two for one time the first counts. */
  write(series: readonly BackfillSeries[]): void {
    const sorted = series.map(({ labels, columns }) => ({ labels, columns: inOrder(columns), at: 0 }))
    sorted.sort((a, b) => compareLabels(a.labels, b.labels))
    for (;;) {
      let first = Infinity
      for (const { columns, at } of sorted) if (at < columns.length) first = Math.min(first, columns.times[at]!)
      if (first === Infinity) return
      const end = (Math.floor(first / this.blockMs) + 1) * this.blockMs
      this.#writeUntil(sorted, end)
    }
  }

  #writeUntil(sorted: readonly { labels: Labels; columns: SampleColumns; at: number }[], end: number): void {
    const { disk, newUlid } = this.#io
    const writer = new BlockWriter(disk, this.#options.outputDirectory, newUlid())
    let minTime = Infinity
    let maxTime = -Infinity
    try {
      for (const each of sorted) {
        const { labels, columns } = each
        const from = each.at
        while (each.at < columns.length && columns.times[each.at]! < end) each.at++
        if (each.at === from) continue
        minTime = Math.min(minTime, columns.times[from]!)
        maxTime = Math.max(maxTime, columns.times[each.at - 1]!)
        writer.add(labels, encodeChunks(columns, from, each.at))
        this.#io.progress?.(
          () => `writing the block from ${timeText(minTime, true)} on: series ${sorted.indexOf(each) + 1} of ${sorted.length}`,
        )
      }
      const meta = writer.finish({ minTime, maxTime: maxTime + 1, compaction: newCompaction(writer.ulid), shard: null })
      if (meta !== null) this.#report(meta)
    } catch (thrown) {
      writer.abort()
      throw new PromhiveError('INTERNAL', `block creation: process blocks: ${messageOf(thrown)}`, {}, thrown)
    }
  }

  #report(meta: BlockMeta): void {
    this.written.push(meta)
    if (this.#options.quiet) return
    const block = BlockReader.open(this.#io.disk, new PageCache(1 << 20), `${this.#options.outputDirectory}/${meta.ulid}`)
    printBlocks([block], !this.#printed, this.#options.humanReadable, this.#io.print)
    block.close()
    this.#printed = true
  }
}

/** The longest of Prometheus' block lengths that is not over the limit, two hours at least. */
export function compatibleBlockMs(maxBlockMs: number): number {
  return blockRanges(defaultBlockMs, maxBlockMs).at(-1)!
}

/** `name=value` of --label. Throws BAD_REQUEST. */
export function readLabelFlag(text: string): readonly [name: string, value: string] {
  const at = text.indexOf('=')
  if (at <= 0) throw new PromhiveError('BAD_REQUEST', `expected KEY=VALUE got '${text}'`)
  return [text.slice(0, at), text.slice(at + 1)]
}
