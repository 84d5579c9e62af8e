// Durations as Prometheus writes them in configuration, PromQL and templates: `1h30m`, `5m`, `250ms`. Whole milliseconds.

import { quote } from './labels.ts'

/** Units from the largest to the smallest: the order they must be written in. */
const units: readonly (readonly [name: string, ms: number])[] = [
  ['y', 31_536_000_000],
  ['w', 604_800_000],
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
  ['ms', 1],
]

/** The longest duration Go's time.Duration holds, 2^63 − 1 ns (about 292 years), in whole ms. */
export const durationMsMax = 9_223_372_036_854

/**
 * Reads `1h30m`, `0`, `1y2w3d4h5m6s7ms`. No sign, no fraction, no space; every unit at most once, the largest first.
 * @returns ms ≥ 0, and the problem as Prometheus words it, or null. Where there is a problem ms is 0.
 * @see prometheus/common model.ParseDuration
 */
export function parseDuration(text: string): { ms: number; problem: string | null } {
  if (text === '0') return { ms: 0, problem: null }
  if (text === '') return failed('empty duration string')
  const part = /([0-9]+)([^0-9]+)/y
  let ms = 0
  let unitBefore = -1
  while (part.lastIndex < text.length) {
    const found = part.exec(text)
    if (found === null) return failed(`not a valid duration string: ${quote(text)}`)
    const digits = found[1]!.replace(/^0+(?=.)/, '')
    if (digits.length > 20 || (digits.length === 20 && digits > '18446744073709551615')) {
      return failed(`not a valid duration string: ${quote(text)}`)
    }
    const unit = units.findIndex(([name]) => name === found[2])
    if (unit < 0) return failed(`unknown unit ${quote(found[2]!)} in duration ${quote(text)}`)
    if (unit <= unitBefore) return failed(`not a valid duration string: ${quote(text)}`)
    unitBefore = unit
    ms += Number(digits) * units[unit]![1]
    if (ms > durationMsMax) return failed('duration out of range')
  }
  return { ms, problem: null }
}

/** As parseDuration, with a leading `-` allowed. @see prometheus/common model.ParseDurationAllowNegative */
export function parseSignedDuration(text: string): { ms: number; problem: string | null } {
  if (!text.startsWith('-')) return parseDuration(text)
  const { ms, problem } = parseDuration(text.slice(1))
  return { ms: ms === 0 ? 0 : -ms, problem }
}

function failed(problem: string): { ms: number; problem: string } {
  return { ms: 0, problem }
}

/**
 * Prints milliseconds, a fraction cut off: `0s`, `1h30m`, `90d`, `2w`. Years and weeks only where nothing is left over.
 * @see prometheus/common model.Duration.String
 */
export function printDuration(ms: number): string {
  let left = Math.trunc(Math.abs(ms))
  if (left === 0) return '0s'
  let out = ms < 0 ? '-' : ''
  for (const [name, size] of units) {
    if ((name === 'y' || name === 'w') && left % size !== 0) continue
    const count = Math.floor(left / size)
    if (count === 0) continue
    out += `${count}${name}`
    left -= count * size
  }
  return out
}
