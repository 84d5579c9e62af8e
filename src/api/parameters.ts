// Parameters of API requests as Go's net/url and Prometheus' handlers read them: form values, times, durations, limits.
import { PromhiveError } from '../base/errors.ts'
import { parseDuration } from '../model/duration.ts'
import { quote } from '../model/labels.ts'
import { parseGoFloat } from '../model/number-text.ts'
import { maxTimeMs, minTimeMs } from './backend.ts'
import { parseRfc3339 } from './time-text.ts'

/** Parameters one request may have, and bytes of a form body (Go's limit). */
const pairsMax = 10_000
export const formBytesMax = 10 << 20

/** Values by name: those of the body first, then those of the URL. */
export class Form {
  readonly #values = new Map<string, string[]>()
  /** Text of the first pair that could not be read; such pairs are left out. Null where all could. */
  problem: string | null = null

  /** @param query without the `?`. */
  add(query: string): void {
    if (query === '') return
    let count = 0
    for (const pair of query.split('&')) {
      if (pair === '') continue
      if (++count > pairsMax) {
        this.problem ??= `more than ${pairsMax} parameters`
        return
      }
      if (pair.includes(';')) {
        this.problem ??= 'invalid semicolon separator in query'
        continue
      }
      const at = pair.indexOf('=')
      const name = unescape(at < 0 ? pair : pair.slice(0, at))
      const value = unescape(at < 0 ? '' : pair.slice(at + 1))
      if (name.problem !== null || value.problem !== null) {
        this.problem ??= name.problem ?? value.problem
        continue
      }
      const known = this.#values.get(name.text)
      if (known === undefined) this.#values.set(name.text, [value.text])
      else known.push(value.text)
    }
  }
  /** The first value, '' where there is none. */
  first(name: string): string {
    return this.#values.get(name)?.[0] ?? ''
  }
  all(name: string): readonly string[] {
    return this.#values.get(name) ?? []
  }
  entries(): Record<string, readonly string[]> {
    return Object.fromEntries(this.#values)
  }
  /** Throws BAD_REQUEST where a pair could not be read: for handlers that insist. */
  demand(): this {
    if (this.problem !== null) throw badRequest(`error parsing form values: ${this.problem}`)
    return this
  }
}

/** Percent and plus decoding. Broken UTF-8 becomes U+FFFD. */
function unescape(text: string): { text: string; problem: string | null } {
  if (!text.includes('%') && !text.includes('+')) return { text, problem: null }
  const spaced = text.replaceAll('+', ' ')
  const bad = /%(?![0-9a-fA-F]{2})/.exec(spaced)
  if (bad !== null) return { text: '', problem: `invalid URL escape ${quote(text.slice(bad.index, bad.index + 3))}` }
  try {
    return { text: decodeURIComponent(spaced), problem: null }
  } catch {
    const bytes: number[] = []
    for (let i = 0; i < spaced.length; i++) {
      if (spaced[i] === '%') {
        bytes.push(Number.parseInt(spaced.slice(i + 1, i + 3), 16))
        i += 2
      } else bytes.push(...new TextEncoder().encode(spaced[i]))
    }
    return { text: new TextDecoder().decode(Uint8Array.from(bytes)), problem: null }
  }
}

export function badRequest(message: string): PromhiveError {
  return new PromhiveError('BAD_REQUEST', message)
}
export function invalidParameter(name: string, why: string): PromhiveError {
  return badRequest(`invalid parameter ${quote(name)}: ${why}`)
}

const minTimeText = '-292273086-05-16T16:47:06Z'
const maxTimeText = '292277025-08-18T07:12:54.999999999Z'

/** Unix seconds with fractions or RFC 3339 → ms within the range of safe integers; null where it is neither. */
export function parseTime(text: string): number | null {
  const seconds = parseGoFloat(text)
  if (seconds !== null) {
    if (Number.isNaN(seconds)) return null
    const whole = Math.trunc(seconds)
    return clampTime(whole * 1000 + Math.round((seconds - whole) * 1000))
  }
  if (text === minTimeText) return minTimeMs
  if (text === maxTimeText) return maxTimeMs
  return parseRfc3339(text)
}

function clampTime(ms: number): number {
  return Math.max(minTimeMs, Math.min(maxTimeMs, ms))
}

/** A time that must be given. */
export function timeOf(form: Form, name: string): number {
  const text = form.first(name)
  const ms = parseTime(text)
  if (ms === null) throw invalidParameter(name, `cannot parse ${quote(text)} to a valid timestamp`)
  return ms
}

/** A time that need not be given. */
export function timeOr(form: Form, name: string, otherwise: number): number {
  const text = form.first(name)
  if (text === '') return otherwise
  const ms = parseTime(text)
  if (ms === null) throw invalidParameter(name, `invalid time value for '${name}': cannot parse ${quote(text)} to a valid timestamp`)
  return ms
}

const int64Nanos = 2 ** 63

/** Seconds with fractions, or `1h30m`. @returns ms, not rounded. Throws BAD_REQUEST with Prometheus' text, without the parameter's name. */
export function durationOf(text: string): number {
  const seconds = parseGoFloat(text)
  if (seconds !== null) {
    if (Math.abs(seconds * 1e9) > int64Nanos) throw badRequest(`cannot parse ${quote(text)} to a valid duration. It overflows int64`)
    if (!Number.isNaN(seconds)) return seconds * 1000
  } else {
    const { ms, problem } = parseDuration(text)
    if (problem === null) return ms
  }
  throw badRequest(`cannot parse ${quote(text)} to a valid duration`)
}

/** A duration parameter; null where it is absent. */
export function durationOr(form: Form, name: string): number | null {
  const text = form.first(name)
  if (text === '') return null
  try {
    return durationOf(text)
  } catch (thrown) {
    throw invalidParameter(name, (thrown as Error).message)
  }
}

/** Go's strconv.Atoi. Throws BAD_REQUEST with its text. */
export function integerOf(text: string): number {
  if (!/^[+-]?\d+$/.test(text)) throw badRequest(`strconv.Atoi: parsing ${quote(text)}: invalid syntax`)
  const value = BigInt(text)
  if (value > 0x7fffffffffffffffn || value < -0x8000000000000000n) {
    throw badRequest(`strconv.Atoi: parsing ${quote(text)}: value out of range`)
  }
  return Number(value)
}

/** `limit`: 0 = none. */
export function limitOf(form: Form): number {
  const text = form.first('limit')
  if (text === '') return 0
  let limit: number
  try {
    limit = integerOf(text)
  } catch (thrown) {
    throw invalidParameter('limit', (thrown as Error).message)
  }
  if (limit < 0) throw invalidParameter('limit', 'limit must be non-negative')
  return limit
}

/** Go's strconv.ParseBool; null where it is none of its words. */
export function booleanOf(text: string): boolean | null {
  if (/^(1|t|T|TRUE|true|True)$/.test(text)) return true
  if (/^(0|f|F|FALSE|false|False)$/.test(text)) return false
  return null
}

/** Whole steps only: the storage keeps milliseconds. */
export function wholeMs(ms: number): number {
  return Math.trunc(Math.round(ms * 1e6) / 1e6)
}
