// Sizes (`10MB`) and Go's own durations (`1.5h`), as flags and the configuration write them. Prometheus' durations are in src/model/duration.ts.
import { durationMsMax } from '../model/duration.ts'

const goUnitsMs: Readonly<Record<string, number>> = { ns: 1e-6, us: 1e-3, µs: 1e-3, μs: 1e-3, ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

/** Go's own durations (`1.5h`, `-10s`), for the flags that take them. Milliseconds. @see Go time.ParseDuration */
export function readGoDuration(text: string): number | { problem: string } {
  const match = /^([-+]?)((?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+|0)$/.exec(text)
  if (match === null) return { problem: `time: invalid duration ${JSON.stringify(text)}` }
  let ms = 0
  for (const [, count, unit] of match[2]!.matchAll(/(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g)) ms += Number(count) * goUnitsMs[unit!]!
  if (ms > durationMsMax) return { problem: `time: invalid duration ${JSON.stringify(text)}` }
  return match[1] === '-' ? -ms : ms
}

/** `1m0s`, `30ms`: a duration as Go prints it. @see Go time.Duration.String */
export function printGoDuration(durationMs: number): string {
  if (durationMs === 0) return '0s'
  const sign = durationMs < 0 ? '-' : ''
  const ms = Math.abs(durationMs)
  if (ms < 1000) return `${sign}${ms}ms`
  const hours = Math.floor(ms / 3_600_000)
  const minutes = Math.floor((ms % 3_600_000) / 60_000)
  const seconds = `${Math.round(ms % 60_000) / 1000}s`
  return hours > 0 ? `${sign}${hours}h${minutes}m${seconds}` : minutes > 0 ? `${sign}${minutes}m${seconds}` : sign + seconds
}

const prefixes = ['', 'K', 'M', 'G', 'T', 'P', 'E']

/**
 * Bytes from `512MB`, `1GiB512MiB` or `1.5KB`: powers of 1024 with either spelling; a unit is required.
 * @see github.com/alecthomas/units ParseBase2Bytes
 */
export function readSize(text: string): number | { problem: string } {
  const match = /^([-+]?)(.*)$/s.exec(text)!
  if (match[2] === '0') return 0
  let bytes = 0
  const part = /(\d+(?:\.\d*)?|\.\d+)([^\d.]*)/y
  let at = 0
  const rest = match[2]!
  if (rest === '') return { problem: `units: invalid ${text}` }
  while (at < rest.length) {
    part.lastIndex = at
    const found = part.exec(rest)
    if (found === null) return { problem: `units: invalid ${text}` }
    const unit = /^([KMGTPE]?)(i?)B$/.exec(found[2]!)
    if (unit === null || (unit[1] === '' && unit[2] === 'i')) return { problem: `units: unknown unit ${found[2]} in ${text}` }
    bytes += Number(found[1]) * 1024 ** prefixes.indexOf(unit[1]!)
    at = part.lastIndex
  }
  if (bytes > 2 ** 63) return { problem: 'units: overflow parsing unit' }
  return match[1] === '-' ? -Math.trunc(bytes) : Math.trunc(bytes)
}

/** `1GiB512MiB`, `0B`. @see github.com/alecthomas/units Base2Bytes.String */
export function printSize(bytes: number): string {
  let rest = Math.abs(bytes)
  if (rest === 0) return '0B'
  let out = ''
  for (let i = 0; i < prefixes.length && rest > 0; i++) {
    const count = rest % 1024
    if (count !== 0) out = `${count}${prefixes[i]}${i === 0 ? 'B' : 'iB'}${out}`
    rest = Math.floor(rest / 1024)
  }
  return bytes < 0 ? `-${out}` : out
}
