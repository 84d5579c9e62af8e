// `tsdb create-blocks-from openmetrics` (FEATURES 3.25, 9.14). Source: prometheus cmd/promtool/backfill.go.
import { readTextEntries, plainReading } from '../../../protocols/exposition/entries.ts'
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

/** Reads an OpenMetrics text and writes a block for each aligned range that has samples. Throws PromhiveError, whose message is what promtool prints. */
export function createBlocksFromOpenMetrics(input: Uint8Array, options: CreateBlocksOptions, io: CreateBlocksIo): BlockMeta[] {
  io.disk.makeDirectory(options.outputDirectory)
  const samples = readSamples(input, options.labels, io.progress ?? noProgress)
  const blocks = new BackfillBlocks(options, io)
  blocks.write(samples)
  return blocks.written
}

/** Series with samples in the order given. */
export type BackfillSeries = { readonly labels: Labels; readonly columns: SampleColumns }

function readSamples(input: Uint8Array, extra: CreateBlocksOptions['labels'], progress: Progress): BackfillSeries[] {
  let samples = 0
  const series = new Map<string, BackfillSeries>()
  const byExposed = new Map<string, BackfillSeries>()
  try {
    for (const entry of readTextEntries(input, 'openmetrics', plainReading)) {
      if (entry.kind !== 'sample') continue
      if (entry.timeMs === null) throw new PromhiveError('BAD_REQUEST', 'expected timestamp for series got none')
      if (!(Math.abs(entry.timeMs) < chunkTimeMax))
        throw new PromhiveError('BAD_REQUEST', `timestamp ${entry.timeMs / 1000} is out of range`)
      let found = byExposed.get(entry.key)
      if (found === undefined) {
        const labels = labelsFrom([...labelPairs(entry.labels), ...extra])
        const key = labelsKey(labels)
        found = series.get(key) ?? { labels, columns: new SampleColumns(8) }
        series.set(key, found)
        byExposed.set(entry.key, found)
      }
      found.columns.push(entry.timeMs, entry.value)
      if ((++samples & 0xffff) === 0) progress(() => `read ${samples} samples of ${series.size} series`)
    }
  } catch (thrown) {
    const why = messageOf(thrown)
    const message = thrown instanceof PromhiveError && thrown.code === 'SCRAPE' ? `next: ${why}` : why
    throw new PromhiveError('BAD_REQUEST', `getting min and max timestamp: ${message}`, {}, thrown)
  }
  return [...series.values()]
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
