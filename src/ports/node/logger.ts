// Log lines as Prometheus 3 writes them (Go's slog handlers):
//   logfmt  time=2026-01-01T00:00:00.000Z level=INFO source=serve.ts:42 msg="Server is ready" component=web
//   json    {"time":"2026-01-01T00:00:00Z","level":"INFO","source":"serve.ts:42","msg":"Server is ready","component":"web"}
// Lines written in one turn of the event loop go out in one synchronous write; errors, and whatever is left at exit, at once.
import { writeSync } from 'node:fs'
import type { Logger } from '../../base/logger.ts'

export const logLevels = ['debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof logLevels)[number]
export type LogFormat = 'logfmt' | 'json'

/** Where lines go; each ends with a newline. */
export interface LogDestination {
  write(lines: string): void
}

/** Of every root logger; a program has one. */
const flushes: (() => void)[] = []
const pendingCharsMax = 32 << 10

/** @param destination default: standard error, written synchronously, a full pipe waited for. */
export function nodeLogger(options: Readonly<{ level: LogLevel; format: LogFormat; destination?: LogDestination }>): Logger {
  const destination = options.destination ?? standardError
  let pending = ''
  const flush = (): void => {
    const lines = pending
    pending = ''
    if (lines !== '') destination.write(lines)
  }
  if (flushes.length === 0) process.on('exit', () => flushes.forEach((each) => each()))
  flushes.push(flush)
  const write = (line: string, level: LogLevel): void => {
    if (pending === '') setImmediate(flush)
    pending += line
    if (level === 'error' || pending.length > pendingCharsMax) flush()
  }
  const print = options.format === 'json' ? printJson : printLogfmt
  return new LineLogger(logLevels.indexOf(options.level), [], (level, source, message, fields) =>
    write(print(new Date(), level.toUpperCase(), source, message, fields), level),
  )
}

/** A full pipe is waited for; lines that cannot be written at all are dropped: there is nowhere to tell. */
const standardError: LogDestination = {
  write(lines) {
    let bytes: Uint8Array = Buffer.from(lines)
    while (bytes.length > 0) {
      try {
        bytes = bytes.subarray(writeSync(2, bytes))
      } catch (thrown) {
        if ((thrown as NodeJS.ErrnoException).code !== 'EAGAIN') return
        Atomics.wait(pause, 0, 0, fullPipeWaitMs)
      }
    }
  },
}
const pause = new Int32Array(new SharedArrayBuffer(4))
const fullPipeWaitMs = 5

type Field = readonly [name: string, value: unknown]
type Emit = (level: LogLevel, source: string, message: string, fields: readonly Field[]) => void

class LineLogger implements Logger {
  readonly #threshold: number
  readonly #bound: readonly Field[]
  readonly #emit: Emit
  constructor(threshold: number, bound: readonly Field[], emit: Emit) {
    this.#threshold = threshold
    this.#bound = bound
    this.#emit = emit
  }
  debug(fields: Readonly<Record<string, unknown>>, message: string): void {
    if (this.#threshold <= 0) this.#line('debug', fields, message)
  }
  info(fields: Readonly<Record<string, unknown>>, message: string): void {
    if (this.#threshold <= 1) this.#line('info', fields, message)
  }
  warn(fields: Readonly<Record<string, unknown>>, message: string): void {
    if (this.#threshold <= 2) this.#line('warn', fields, message)
  }
  error(fields: Readonly<Record<string, unknown>>, message: string): void {
    this.#line('error', fields, message)
  }
  child(fields: Readonly<Record<string, unknown>>): Logger {
    return new LineLogger(this.#threshold, [...this.#bound, ...namedFields(fields)], this.#emit)
  }
  #line(level: LogLevel, fields: Readonly<Record<string, unknown>>, message: string): void {
    this.#emit(level, callSite(this[level]), message, [...this.#bound, ...namedFields(fields)])
  }
}

const reserved: ReadonlySet<string> = new Set(['time', 'level', 'source'])

function namedFields(fields: Readonly<Record<string, unknown>>): Field[] {
  const named: Field[] = []
  for (const [name, value] of Object.entries(fields)) {
    if (value !== undefined) named.push([reserved.has(name) ? `logged_${name}` : name, value])
  }
  return named
}

/** `file.ts:12` of whoever called the method; a few microseconds. */
function callSite(method: (...args: never[]) => void): string {
  const depth = Error.stackTraceLimit
  const place: { stack?: string } = {}
  Error.stackTraceLimit = 1
  Error.captureStackTrace(place, method)
  Error.stackTraceLimit = depth
  return /([^/\\(]+:\d+):\d+\)?$/.exec(place.stack ?? '')?.[1] ?? 'unknown:0'
}

function printLogfmt(at: Date, level: string, source: string, message: string, fields: readonly Field[]): string {
  let line = `time=${localTime(at, 'always')} level=${level} source=${logfmtText(source)} msg=${logfmtText(message)}`
  for (const [name, value] of fields) line += ` ${logfmtText(name)}=${logfmtText(plainText(value))}`
  return line + '\n'
}

function printJson(at: Date, level: string, source: string, message: string, fields: readonly Field[]): string {
  let line = `{"time":"${localTime(at, 'where not zero')}","level":"${level}","source":${JSON.stringify(source)},"msg":${JSON.stringify(message)}`
  for (const [name, value] of fields) line += `,${JSON.stringify(name)}:${jsonText(value)}`
  return line + '}\n'
}

/** RFC 3339 in the local time zone, as Go prints it. */
function localTime(at: Date, milliseconds: 'always' | 'where not zero'): string {
  const offsetMinutes = -at.getTimezoneOffset()
  const local = new Date(at.getTime() + offsetMinutes * 60_000).toISOString()
  const time = milliseconds === 'always' ? local.slice(0, 23) : local.slice(0, 23).replace(/\.?0+$/, '')
  if (offsetMinutes === 0) return time + 'Z'
  const size = Math.abs(offsetMinutes)
  const two = (n: number): string => String(Math.floor(n)).padStart(2, '0')
  return `${time}${offsetMinutes < 0 ? '-' : '+'}${two(size / 60)}:${two(size % 60)}`
}

function plainText(value: unknown): string {
  if (typeof value === 'string') return value
  if (value instanceof Error) return value.message
  if (Array.isArray(value)) return `[${value.map(plainText).join(' ')}]`
  if (typeof value === 'object' && value !== null) return jsonText(value)
  return String(value)
}

function jsonText(value: unknown): string {
  if (value instanceof Error) return JSON.stringify(value.message)
  if (typeof value === 'bigint') return String(value)
  try {
    return JSON.stringify(value) ?? 'null'
  } catch {
    return JSON.stringify(String(value)) // a cycle or a bigint within
  }
}

// What slog leaves bare: printable, without space, quote and equals sign. Everything else is quoted as Go's strconv.Quote does.
const bare = /^[^\s"=\p{C}\p{Z}]+$/u

function logfmtText(text: string): string {
  if (bare.test(text)) return text
  return `"${text.replace(/["\\\p{C}]|[^\P{Z} ]/gu, escapeCharacter)}"`
}

const shortEscapes: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\x07': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\v': '\\v',
}

function escapeCharacter(character: string): string {
  const short = shortEscapes[character]
  if (short !== undefined) return short
  const code = character.codePointAt(0)!
  if (code < 0x80) return '\\x' + code.toString(16).padStart(2, '0')
  return code < 0x10000 ? '\\u' + code.toString(16).padStart(4, '0') : '\\U' + code.toString(16).padStart(8, '0')
}
