// `tsdb list` (FEATURES 3.01, 9.13). Source: prometheus cmd/promtool/tsdb.go.
import type { Disk } from '../../ports/disk.ts'
import type { BlockReader } from '../../tsdb/block/reader.ts'
import { openAllBlocks } from './tsdb-database.ts'
import { alignColumns, bytesText, durationText, timeText } from './tsdb-table.ts'

export type ListOptions = Readonly<{ humanReadable: boolean }>

/** Throws PromhiveError, whose message is what promtool prints. */
export function listBlocks(disk: Disk, path: string, options: ListOptions, print: (line: string) => void): void {
  printBlocks(openAllBlocks(disk, path), true, options.humanReadable, print)
}

export function printBlocks(
  blocks: readonly BlockReader[],
  withHeader: boolean,
  humanReadable: boolean,
  print: (line: string) => void,
): void {
  const rows = blocks.map(({ meta, sizeBytes }) => [
    meta.ulid,
    timeText(meta.minTime, humanReadable),
    timeText(meta.maxTime, humanReadable),
    durationText(meta.maxTime - meta.minTime),
    String(meta.stats.numSamples),
    String(meta.stats.numChunks),
    String(meta.stats.numSeries),
    bytesText(sizeBytes, humanReadable),
  ])
  for (const line of alignColumns(withHeader ? [header, ...rows] : rows)) print(line)
}

const header = ['BLOCK ULID', 'MIN TIME', 'MAX TIME', 'DURATION', 'NUM SAMPLES', 'NUM CHUNKS', 'NUM SERIES', 'SIZE']
