// `tsdb analyze` (FEATURES 3.27, 9.13). Source: prometheus cmd/promtool/tsdb.go.
import { utf8Bytes } from '../../base/bytes.ts'
import { compareText } from '../../model/labels.ts'
import { compileMatchers } from '../../model/matching.ts'
import { SampleColumns } from '../../model/samples.ts'
import type { Disk } from '../../ports/disk.ts'
import type { BlockReader } from '../../tsdb/block/reader.ts'
import { decodeChunk, holdsFloats, sampleCount } from '../../tsdb/chunks/decode.ts'
import { SeriesEntry } from '../../tsdb/index/reader.ts'
import { selectPostings } from '../../tsdb/index/select.ts'
import { openOneBlock, readSelector } from './tsdb-database.ts'
import { durationText } from './tsdb-table.ts'

export type AnalyzeOptions = Readonly<{
  /** '' = the block with the latest name. */
  blockId: string
  /** How many items each list shows. */
  limit: number
  extended: boolean
  /** A selector, '' = all series. */
  match: string
}>

/** Throws PromhiveError, whose message is what promtool prints. Items of the same count come in the order of their names. */
export function analyzeTsdb(disk: Disk, path: string, options: AnalyzeOptions, print: (line: string) => void): void {
  const matchers = options.match === '' ? [] : readSelector(options.match)
  const block = openOneBlock(disk, path, options.blockId)
  try {
    const { meta, index } = block
    const rangeMs = meta.maxTime - meta.minTime
    print(`Block ID: ${meta.ulid}`)
    print(`Duration: ${durationText(rangeMs)}`)
    print(`Total Series: ${meta.stats.numSeries}`)
    if (options.match !== '') print(`Matcher: ${options.match}`)
    const names = block.labelNames(matchers)
    print(`Label names: ${names.length}`)
    const refs = matchers.length === 0 ? index.allPostings() : selectPostings(index, compileMatchers(matchers))
    if (options.match !== '') print(`Matched series: ${refs.length}`)

    const counts = countPairs(block, refs, rangeMs)
    print(`Postings (unique label pairs): ${counts.pairs.size}`)
    print(`Postings entries (total label pairs): ${counts.entries}`)
    const list = (title: string, items: readonly Item[]): void => {
      print('')
      print(`${title}:`)
      printTop(items, options.limit, print)
    }
    const churn = (uncovered: number): number => Math.floor(uncovered / rangeMs)
    list(
      'Label pairs most involved in churning',
      Array.from(counts.pairs, ([name, pair]) => ({ name, count: churn(pair.uncovered) })),
    )
    list(
      'Label names most involved in churning',
      Array.from(counts.uncoveredByName, ([name, uncovered]) => ({ name, count: churn(uncovered) })),
    )
    list(
      'Most common label pairs',
      Array.from(counts.pairs, ([name, pair]) => ({ name, count: pair.count })),
    )
    const values = new Map(names.map((name) => [name, block.labelValues(name, matchers)]))
    list(
      'Label names with highest cumulative label value length',
      Array.from(values, ([name, texts]) => ({ name, count: texts.reduce((sum, text) => sum + utf8Bytes(text).length, 0) })),
    )
    list(
      'Highest cardinality labels',
      Array.from(values, ([name, texts]) => ({ name, count: texts.length })),
    )
    list(
      'Highest cardinality metric names',
      (values.get('__name__') ?? []).map((name) => ({ name, count: counts.pairs.get(`__name__=${name}`)?.count ?? 0 })),
    )
    if (options.extended) analyzeChunks(block, refs, print)
  } finally {
    block.close()
  }
}

type Item = Readonly<{ name: string; count: number }>

function printTop(items: readonly Item[], limit: number, print: (line: string) => void): void {
  const sorted = [...items].sort((a, b) => b.count - a.count || compareText(a.name, b.name))
  for (const { name, count } of sorted.slice(0, limit)) print(`${count} ${name}`)
}

type Pair = { count: number; uncovered: number }

/** How often each label pair occurs, and how much of the block's time its series do not cover, ms. */
function countPairs(
  block: BlockReader,
  refs: Uint32Array,
  rangeMs: number,
): { pairs: Map<string, Pair>; uncoveredByName: Map<string, number>; entries: number } {
  const { index } = block
  const pairs = new Map<string, Pair>()
  const uncoveredByName = new Map<string, number>()
  const entry = new SeriesEntry()
  let entries = 0
  for (const ref of refs) {
    index.series(ref, entry)
    const covered = entry.chunkCount === 0 ? 0 : entry.maxTimes[entry.chunkCount - 1]! - entry.minTimes[0]!
    const uncovered = rangeMs - covered
    const labels = index.labels(entry)
    for (let i = 0; i < labels.length; i += 2) {
      const name = labels[i]!
      const key = `${name}=${labels[i + 1]!}`
      const pair = pairs.get(key)
      if (pair === undefined) pairs.set(key, { count: 1, uncovered })
      else {
        pair.count++
        pair.uncovered += uncovered
      }
      uncoveredByName.set(name, (uncoveredByName.get(name) ?? 0) + uncovered)
      entries++
    }
  }
  return { pairs, uncoveredByName, entries }
}

function analyzeChunks(block: BlockReader, refs: Uint32Array, print: (line: string) => void): void {
  const floats = { samples: [] as number[], bytes: [] as number[] }
  const histograms = { samples: [] as number[], bytes: [] as number[], buckets: [] as number[] }
  const columns = new SampleColumns()
  let total = 0
  for (const ref of refs) {
    for (const { encoding, bytes } of block.chunksOf(ref, -Infinity, Infinity)) {
      total++
      const into = holdsFloats(encoding) ? floats : histograms
      into.samples.push(sampleCount(encoding, bytes))
      into.bytes.push(bytes.length)
      if (holdsFloats(encoding)) continue
      columns.clear()
      decodeChunk(encoding, bytes, -Infinity, Infinity, columns)
      let buckets = 0
      for (let i = 0; i < columns.length; i++) {
        buckets += columns.histograms![i]!.positiveBuckets.length + columns.histograms![i]!.negativeBuckets.length
      }
      histograms.buckets.push(buckets)
    }
  }
  print('')
  print('Compaction analysis:')
  print('')
  printDistribution('samples per float chunk', floats.samples, total, print)
  printDistribution('bytes per float chunk', floats.bytes, total, print)
  printDistribution('samples per histogram chunk', histograms.samples, total, print)
  printDistribution('bytes per histogram chunk', histograms.bytes, total, print)
  printDistribution('buckets per histogram chunk', histograms.buckets, total, print)
}

function printDistribution(what: string, data: readonly number[], total: number, print: (line: string) => void): void {
  if (data.length === 0) {
    print(`${what}: N/A`)
    print('')
    return
  }
  const sorted = [...data].sort((a, b) => a - b)
  const least = sorted[0]!
  const most = sorted.at(-1)!
  let step = 10
  while (step < Math.floor((most - least) / 10) && step <= 10_000) step *= 10
  const start = least - (least % step)
  const end = most - (most % step) + step
  const buckets = new Array<number>(Math.floor((end - start) / step) + 1).fill(0)
  let sum = 0
  for (const value of sorted) {
    sum += value
    buckets[Math.floor((value - start) / step)]!++
  }
  print(`${what} (min/avg/max): ${least}/${Math.floor(sum / sorted.length)}/${most}`)
  const left = String(end).length
  const right = String(end + step).length
  const width = String(Math.max(...buckets)).length
  buckets.forEach((count, i) => {
    const from = String(i * step + start + 1).padStart(left)
    const to = String((i + 1) * step + start).padStart(right)
    print(`[${from}, ${to}]: ${String(count).padStart(width)} ${'#'.repeat(Math.floor((100 * count) / total))}`)
  })
  print('')
}
