// A data directory opened by the tools: its blocks, and the head a Prometheus left beside them. Nothing in it is changed.
import { PromhiveError } from '../../base/errors.ts'
import { compareLabels, labelsEqual, type Labels } from '../../model/labels.ts'
import type { Matcher } from '../../model/matcher.ts'
import { compileMatchers, type CompiledMatcher } from '../../model/matching.ts'
import { SampleColumns } from '../../model/samples.ts'
import type { Disk } from '../../ports/disk.ts'
import { readOnlyDisk } from '../../ports/read-only-disk.ts'
import { parseMetricSelector, printProblem } from '../../promql/parse.ts'
import { openBlocks } from '../../tsdb/block/directory.ts'
import { isPartOfWindow } from '../../tsdb/block/meta.ts'
import { PageCache } from '../../tsdb/block/pages.ts'
import { BlockReader } from '../../tsdb/block/reader.ts'
import { isUlid, ulidTimeMs } from '../../tsdb/block/ulid.ts'
import { copySample } from '../../tsdb/chunks/encode.ts'
import { mergeInto } from '../../tsdb/query/merged-source.ts'
import { importHead } from '../../tsdb/wal-import/import-head.ts'
import type { Decompressors } from '../../tsdb/wal-import/log.ts'
import { isTakenOver } from '../serve/takeover.ts'
import { namesOfFiles, OwnHead } from './tsdb-head.ts'

const cacheBytes = 64 << 20
const attemptsMax = 2

export function requireDirectory(disk: Disk, path: string): void {
  if (!disk.exists(path)) throw new PromhiveError('NOT_FOUND', `opening the db dir: stat ${path}: no such file or directory`)
}

/** All blocks, by start. A broken one that no other was made from is an error. */
export function openAllBlocks(disk: Disk, path: string): BlockReader[] {
  requireDirectory(disk, path)
  const { blocks, broken } = openBlocks(disk, new PageCache(cacheBytes), path)
  if (broken.length === 0) return blocks
  for (const block of blocks) block.close()
  const messages = broken.map(({ ulid, error }) => `corrupted block ${ulid}: ${error.message}`)
  const isGone = broken.some(({ error }) => error.code === 'NOT_FOUND')
  throw new PromhiveError(isGone ? 'NOT_FOUND' : 'STORAGE_CORRUPT', messages.join('\n'), { blocks: broken.map(({ ulid }) => ulid) })
}

/** One block by name; '' is the one with the latest name. */
export function openOneBlock(disk: Disk, path: string, blockId: string): BlockReader {
  requireDirectory(disk, path)
  let name = blockId
  if (name === '') {
    const names = disk.list(path).filter(isUlid)
    name = names.reduce((latest, each) => (latest === '' || ulidTimeMs(each) > ulidTimeMs(latest) ? each : latest), '')
    if (name === '') throw new PromhiveError('NOT_FOUND', 'no blocks found')
  }
  if (!disk.exists(`${path}/${name}`)) throw new PromhiveError('NOT_FOUND', `invalid block ID ${name}`)
  return BlockReader.open(disk, new PageCache(cacheBytes), `${path}/${name}`)
}

/** Matchers of a selector as written on the command line. Throws BAD_REQUEST. */
export function readSelector(text: string): readonly Matcher[] {
  const { matchers, problems } = parseMetricSelector(text)
  if (matchers === null || problems.length > 0) throw new PromhiveError('BAD_REQUEST', printProblem(text, problems[0]!))
  return matchers
}

/** One series as the tools see it; `read` replaces what `into` holds by its samples in the range. */
export type ToolSeries = Readonly<{ labels: Labels; read(into: SampleColumns): void }>

/** A data directory of a Prometheus or of our own: blocks and head. It is only read, and a server may be running on it. */
export class ToolDatabase {
  readonly #blocks: readonly BlockReader[]
  readonly #head: readonly HeadSeries[]
  readonly #own: OwnHead | null
  /** What of the heads could not be read. */
  readonly damages: readonly string[]

  /**
   * Reads the head of Promhive and that of a Prometheus, where there are any; the latter from the end of the newest block on, and not where Promhive has taken
   * it over. Where files have gone meanwhile it is tried once more; then throws UNAVAILABLE.
   */
  static async open(disk: Disk, path: string, decompress: Decompressors): Promise<ToolDatabase> {
    requireDirectory(disk, path)
    const reading = readOnlyDisk(disk)
    for (let attempt = 1; ; attempt++) {
      const before = namesOfFiles(reading, path)
      const problems: { message: string; isGone: boolean }[] = []
      let database: ToolDatabase | null = null
      let failure: PromhiveError | null = null
      try {
        database = await ToolDatabase.#open(reading, path, decompress, problems)
      } catch (thrown) {
        if (!(thrown instanceof PromhiveError) || thrown.code !== 'NOT_FOUND') throw thrown
        failure = thrown
      }
      const isWhole = failure === null && !problems.some(({ isGone }) => isGone)
      if (isWhole || namesOfFiles(reading, path) === before) {
        if (database === null) throw failure!
        return database
      }
      database?.close()
      if (attempt === attemptsMax) {
        const why = failure?.message ?? problems.find(({ isGone }) => isGone)!.message
        throw new PromhiveError('UNAVAILABLE', `cannot read ${path}: files come and go while it is read, try again: ${why}`, { path })
      }
    }
  }

  static async #open(
    disk: Disk,
    path: string,
    decompress: Decompressors,
    problems: { message: string; isGone: boolean }[],
  ): Promise<ToolDatabase> {
    const own = OwnHead.load(disk, path, (message, isGone) => problems.push({ message, isGone }))
    const blocks = openAllBlocks(disk, path)
    try {
      for (const block of blocks) {
        block.hold()
        if (!disk.exists(block.path)) throw new PromhiveError('NOT_FOUND', `block ${block.meta.ulid} is not there any more`)
      }
      await own?.replay(blocks)
      const { series, damages } = isTakenOver(disk, path) ? { series: [], damages: [] } : prometheusHead(disk, path, decompress, blocks)
      for (const { message } of damages) problems.push({ message, isGone: false })
      const messages = problems.map(({ message }) => message)
      return new ToolDatabase(blocks, series, own, messages)
    } catch (thrown) {
      for (const block of blocks) block.close()
      throw thrown
    }
  }

  private constructor(blocks: readonly BlockReader[], head: readonly HeadSeries[], own: OwnHead | null, damages: readonly string[]) {
    this.#blocks = blocks
    this.#head = head
    this.#own = own
    this.damages = damages
  }

  /** Every series that passes any of the selectors, once, in label order. The range is closed. */
  *select(selectors: readonly (readonly Matcher[])[], startMs: number, endMs: number): Generator<ToolSeries> {
    const compiled = selectors.map(compileMatchers)
    const cursors: SeriesCursor[] = []
    for (const matchers of compiled) {
      for (const block of this.#blocks) {
        const set = block.selectCompiled(matchers, startMs, endMs)
        cursors.push(
          new SeriesCursor(
            set.length,
            (i) => set.labels(i),
            (i, into) => set.append(i, into),
          ),
        )
      }
      const head = this.#head.filter(({ labels }) => passes(matchers, labels))
      cursors.push(
        new SeriesCursor(
          head.length,
          (i) => head[i]!.labels,
          (i, into) => appendWithin(head[i]!.columns, startMs, endMs, into),
        ),
      )
    }
    const own = this.#own?.select(compiled, startMs, endMs)
    // last: what the head of a Promhive has replaces what blocks have at the same time
    if (own !== undefined) cursors.push(new SeriesCursor(own.length, own.labels, own.append))
    const readAll = own === undefined ? readFirst : readNewest
    for (;;) {
      let labels: Labels | null = null
      for (const { current } of cursors) if (current !== null && (labels === null || compareLabels(current, labels) < 0)) labels = current
      if (labels === null) return
      const sources = cursors.filter(({ current }) => current !== null && labelsEqual(current, labels))
      yield { labels, read: (into) => readAll(sources, into) }
      for (const source of sources) source.advance()
    }
  }

  close(): void {
    for (const block of this.#blocks) block.close()
  }
}

/** What lies behind the newest block, and how that went. */
function prometheusHead(
  disk: Disk,
  path: string,
  decompress: Decompressors,
  blocks: readonly BlockReader[],
): { series: HeadSeries[]; damages: readonly PromhiveError[] } {
  const series: HeadSeries[] = []
  const sink = {
    series: (_: number, labels: Labels) => void series.push({ labels, columns: new SampleColumns(8) }),
    samples(index: number, columns: SampleColumns) {
      const into = series[index]!.columns
      for (let i = 0; i < columns.length; i++) copySample(columns, i, into)
    },
  }
  const whole = blocks.filter(({ meta }) => !isPartOfWindow(meta))
  const from = whole.reduce((end, block) => Math.max(end, block.meta.maxTime), -Infinity)
  const steps = importHead(disk, path, decompress, sink, { fromMs: from })
  let step = steps.next()
  while (step.done !== true) step = steps.next()
  series.sort((a, b) => compareLabels(a.labels, b.labels))
  for (const each of series) each.columns = inOrder(each.columns)
  return { series, damages: step.value.damages }
}

type HeadSeries = { readonly labels: Labels; columns: SampleColumns }

class SeriesCursor {
  current: Labels | null = null
  readonly #length: number
  readonly #labels: (index: number) => Labels
  readonly #append: (index: number, into: SampleColumns) => void
  #at = -1
  constructor(length: number, labels: (index: number) => Labels, append: (index: number, into: SampleColumns) => void) {
    this.#length = length
    this.#labels = labels
    this.#append = append
    this.advance()
  }
  advance(): void {
    this.#at++
    this.current = this.#at < this.#length ? this.#labels(this.#at) : null
  }
  append(into: SampleColumns): void {
    this.#append(this.#at, into)
  }
}

/** As a Prometheus: of samples with the same time the one that is found first. */
function readFirst(sources: readonly SeriesCursor[], into: SampleColumns): void {
  into.clear()
  if (sources.length === 1) return sources[0]!.append(into)
  const all = new SampleColumns()
  for (const source of sources) source.append(all)
  const ordered = inOrder(all)
  for (let i = 0; i < ordered.length; i++) copySample(ordered, i, into)
}

/** As Promhive's queries: of samples with the same time the one that is found last. */
function readNewest(sources: readonly SeriesCursor[], into: SampleColumns): void {
  into.clear()
  if (sources.length === 1) return sources[0]!.append(into)
  const part = new SampleColumns()
  for (const source of sources) {
    part.clear()
    source.append(part)
    mergeInto(into, part)
  }
}

/** By time, one sample for each: the first given. The same object where nothing is to be done. */
export function inOrder(columns: SampleColumns): SampleColumns {
  const { times, length } = columns
  let sorted = true
  for (let i = 1; i < length && sorted; i++) sorted = times[i]! > times[i - 1]!
  if (sorted) return columns
  const order = Uint32Array.from({ length }, (_, i) => i).sort((a, b) => times[a]! - times[b]! || a - b)
  const out = new SampleColumns(length)
  for (const i of order) if (out.length === 0 || out.times[out.length - 1] !== times[i]) copySample(columns, i, out)
  return out
}

function appendWithin(columns: SampleColumns, startMs: number, endMs: number, into: SampleColumns): void {
  for (let i = 0; i < columns.length; i++) if (columns.times[i]! >= startMs && columns.times[i]! <= endMs) copySample(columns, i, into)
}

function passes(matchers: readonly CompiledMatcher[], labels: Labels): boolean {
  return matchers.every((matcher) => {
    for (let i = 0; i < labels.length; i += 2) if (labels[i] === matcher.name) return matcher.matches(labels[i + 1]!)
    return matcher.isEmptyMatch
  })
}
