import { quote } from '../model/labels.ts'
import { parseGoFloat } from '../model/number-text.ts'
import { formatFloat } from './float-text.ts'
import { printTime } from './time.ts'
import { DurationValue, FunctionError, TimeValue, typeName } from './value.ts'

/** Numbers made readable, as Prometheus' and Alertmanager's templates do. Source: prometheus/common helpers/templates. */

/** A number, or a text that holds one. */
export function toFloat(value: unknown): number {
  if (typeof value === 'number') return value
  if (typeof value === 'bigint') return Number(value)
  if (typeof value === 'string') {
    const parsed = parseGoFloat(value)
    if (parsed !== null) return parsed
    const why = /^[+-]?(?:[0-9_]*\.?[0-9_]+|[0-9_]+\.)(?:e[+-]?[0-9]+)?$/i.test(value) ? 'value out of range' : 'invalid syntax'
    throw new FunctionError(`strconv.ParseFloat: parsing ${quote(value)}: ${why}`)
  }
  if (value instanceof DurationValue && !value.pointer) return Number(value.nanos) / 1e9
  throw new FunctionError(`can't convert ${value === null || value === undefined ? '<nil>' : typeName(value)} to float`)
}

const four = (value: number): string => formatFloat(value, 'g', 4)
const largePrefixes = ['k', 'M', 'G', 'T', 'P', 'E', 'Z', 'Y']
const smallPrefixes = ['m', 'u', 'n', 'p', 'f', 'a', 'z', 'y']
const binaryPrefixes = ['ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei', 'Zi', 'Yi']

/** Divides until the value is below `base`; the prefixes may run out first. */
function scaleDown(value: number, base: number, prefixes: readonly string[]): string {
  let prefix = ''
  let left = value
  for (const next of prefixes) {
    if (Math.abs(left) < base) break
    prefix = next
    left /= base
  }
  return four(left) + prefix
}

function scaleUp(value: number): string {
  let prefix = ''
  let left = value
  for (const next of smallPrefixes) {
    if (Math.abs(left) >= 1) break
    prefix = next
    left *= 1000
  }
  return four(left) + prefix
}

export function humanize(value: number): string {
  if (value === 0 || !Number.isFinite(value)) return four(value)
  return Math.abs(value) >= 1 ? scaleDown(value, 1000, largePrefixes) : scaleUp(value)
}

export function humanize1024(value: number): string {
  if (Math.abs(value) <= 1 || !Number.isFinite(value)) return four(value)
  return scaleDown(value, 1024, binaryPrefixes)
}

export function humanizePercentage(value: number): string {
  return `${four(value * 100)}%`
}

/** @param value seconds */
export function humanizeDuration(value: number): string {
  if (!Number.isFinite(value)) return four(value)
  if (value === 0) return `${four(value)}s`
  if (Math.abs(value) < 1) return `${scaleUp(value)}s`
  const sign = value < 0 ? '-' : ''
  const size = Math.abs(value)
  // as Go's conversion of what does not fit
  const whole = size < 2 ** 63 ? BigInt(Math.trunc(size)) : -(1n << 63n)
  const seconds = whole % 60n
  const minutes = (whole / 60n) % 60n
  const hours = (whole / 3600n) % 24n
  const days = whole / 86_400n
  if (days !== 0n) return `${sign}${days}d ${hours}h ${minutes}m ${seconds}s`
  if (hours !== 0n) return `${sign}${hours}h ${minutes}m ${seconds}s`
  if (minutes !== 0n) return `${sign}${minutes}m ${seconds}s`
  return `${sign}${four(size)}s`
}

/** @param value seconds since the epoch. Go keeps such times in whole milliseconds. */
export function timeOf(value: number): TimeValue {
  if (!Number.isFinite(value)) throw new FunctionError('value is NaN or Inf')
  const nanos = value * 1e9
  if (nanos > 2 ** 63 || nanos < -(2 ** 63)) {
    throw new FunctionError(`${formatFloat(value, 'g', -1)} cannot be represented as a nanoseconds timestamp since it overflows int64`)
  }
  const whole = nanos >= 2 ** 63 ? (1n << 63n) - 1n : BigInt(Math.trunc(nanos))
  return new TimeValue((whole / 1_000_000n) * 1_000_000n, true)
}

export function humanizeTimestamp(value: number): string {
  return Number.isFinite(value) ? printTime(timeOf(value).nanos) : four(value)
}
