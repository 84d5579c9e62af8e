// Columns as Go's tabwriter lays them out for promtool: at least 13 wide, two spaces between; and the numbers in them.
import { calendarDay } from '../../base/calendar.ts'
import { printDuration } from '../../template/time.ts'

/** Lines of cells; the last cell of a line is not padded. */
export function alignColumns(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = []
  for (const row of rows) row.slice(0, -1).forEach((cell, i) => (widths[i] = Math.max(widths[i] ?? 13, cell.length + 2)))
  return rows.map((row) => row.map((cell, i) => (i === row.length - 1 ? cell : cell + ' '.repeat(widths[i]! - cell.length))).join(''))
}

/** `1h56m40.001s`. */
export function durationText(ms: number): string {
  return printDuration(BigInt(Math.round(ms)) * 1_000_000n)
}

/** `2023-11-14 22:13:20 +0000 UTC`, or the number as it is. */
export function timeText(ms: number, humanReadable: boolean): string {
  if (!humanReadable) return String(ms)
  const days = Math.floor(ms / 86_400_000)
  const seconds = Math.floor(ms / 1000) - days * 86_400
  const { year, month, day } = calendarDay(days)
  const two = (value: number): string => String(value).padStart(2, '0')
  const date = `${year < 0 ? '-' : ''}${String(Math.abs(year)).padStart(4, '0')}-${two(month)}-${two(day)}`
  return `${date} ${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)} +0000 UTC`
}

/** `1KiB512B`, or the number as it is. */
export function bytesText(bytes: number, humanReadable: boolean): string {
  if (!humanReadable) return String(bytes)
  if (bytes === 0) return '0B'
  const units = ['EiB', 'PiB', 'TiB', 'GiB', 'MiB', 'KiB', 'B']
  let out = ''
  let rest = bytes
  units.forEach((unit, i) => {
    const size = 1024 ** (units.length - 1 - i)
    const count = Math.floor(rest / size)
    if (count > 0) out += `${count}${unit}`
    rest -= count * size
  })
  return out
}
