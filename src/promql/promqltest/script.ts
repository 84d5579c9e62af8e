// The promqltest language, read: commands with their line numbers. Grammar: prometheus promql/promqltest/README.md.
import { parseDuration } from '../../model/duration.ts'
import { compileRegex, type Regex } from '../../model/regex.ts'
import { parseGoFloat, parseGoInteger } from '../../model/number-text.ts'
import { labelsEqual, type Labels } from '../../model/labels.ts'
import { unquoteString } from '../lex-string.ts'
import { parseMetric, parseSeriesDescription, type SequenceValue } from './series-description.ts'

export type Command =
  | Readonly<{ kind: 'clear'; line: number }>
  | Readonly<{ kind: 'load'; line: number; stepMs: number; withNhcb: boolean; series: readonly LoadedSeries[] }>
  | EvalCommand

/** `startOffsets`: start timestamps relative to each sample's time, null where not written. */
export type LoadedSeries = Readonly<{ labels: Labels; values: readonly SequenceValue[]; startOffsets: readonly (number | null)[] | null }>

export type ExpectKind = 'ordered' | 'fail' | 'warn' | 'no_warn' | 'info' | 'no_info'
/** What a text must be; both null: anything. */
export type Expectation = Readonly<{ message: string | null; regex: Regex | null }>
export type ExpectedSeries = Readonly<{ labels: Labels; values: readonly SequenceValue[] }>

export type EvalCommand = Readonly<{
  kind: 'eval'
  line: number
  expr: string
  isRange: boolean
  startMs: number
  endMs: number
  stepMs: number
  expects: ReadonlyMap<ExpectKind, readonly Expectation[]>
  /** Deprecated `eval_warn`, `eval_info`: any annotation will do. */
  wantsWarning: boolean
  wantsInfo: boolean
  expectedString: string | null
  /** The times of an expected range vector. */
  rangeVector: Readonly<{ startMs: number; endMs: number; stepMs: number }> | null
  expectedScalar: number | null
  expected: readonly ExpectedSeries[]
}>

export type ScriptProblem = Readonly<{ line: number; message: string }>

/** All commands up to the first line that cannot be read. */
export function parseScript(text: string): { commands: readonly Command[]; problem: ScriptProblem | null } {
  const lines = text.split('\n').map((line) => {
    const trimmed = line.trim()
    return trimmed.startsWith('#') ? '' : trimmed
  })
  const commands: Command[] = []
  const reader = new ScriptReader(lines)
  try {
    for (let command = reader.next(); command !== null; command = reader.next()) commands.push(command)
  } catch (thrown) {
    if (thrown instanceof ScriptError) return { commands, problem: { line: thrown.line, message: thrown.message } }
    throw thrown
  }
  return { commands, problem: null }
}

class ScriptError extends Error {
  readonly line: number
  constructor(line: number, message: string) {
    super(message)
    this.line = line
  }
}

const evalInstant = /^eval(?:_(fail|warn|ordered|info))?\s+instant\s+(?:at\s+(.+?))?\s+(.+)$/
const evalRange = /^eval(?:_(fail|warn|info))?\s+range\s+from\s+(.+)\s+to\s+(.+)\s+step\s+(.+?)\s+(.+)$/
const nextCommand = /^(?:clear$|load(?:_with_nhcb)?\s+[0-9]|eval(?:_[a-z]+)?\s+(?:instant|range)\s)/
const expectLine = /^expect\s+(ordered|fail|warn|no_warn|info|no_info)(?:\s+(regex|msg):(.+))?$/
const expectRange = /^expect range vector\s+from\s+(.+)\s+to\s+(.+)\s+step\s+(.+)$/

class ScriptReader {
  readonly #lines: readonly string[]
  #at = 0
  constructor(lines: readonly string[]) {
    this.#lines = lines
  }
  next(): Command | null {
    while (this.#at < this.#lines.length && this.#lines[this.#at] === '') this.#at++
    if (this.#at >= this.#lines.length) return null
    const line = this.#lines[this.#at]!
    const word = line.split(/[\t ]+/, 1)[0]!.toLowerCase()
    const number = this.#at + 1
    this.#at++
    if (word === 'clear') return { kind: 'clear', line: number }
    if (word.startsWith('load')) return this.#load(line, number)
    if (word.startsWith('eval')) return this.#eval(line, number)
    throw new ScriptError(number, `invalid command "${line}"`)
  }

  /** The lines of a block, each with its number. It ends at an empty line, and where a line can only be the next command. */
  *#block(): Generator<[string, number]> {
    for (; this.#at < this.#lines.length; this.#at++) {
      const line = this.#lines[this.#at]!
      if (line === '' || nextCommand.test(line)) return
      yield [line, this.#at + 1]
    }
  }

  #load(line: string, number: number): Command {
    const match = /^load(?:_(with_nhcb))?\s+(.+?)$/.exec(line)
    if (match === null) throw new ScriptError(number, 'invalid load command. (load[_with_nhcb] <step:duration>)')
    const stepMs = this.#duration(match[2]!, number, 'step')
    const series: LoadedSeries[] = []
    let starts: { labels: Labels; offsets: (number | null)[]; line: number } | null = null
    for (const [text, at] of this.#block()) {
      const startLine = /^(\S+)@st[\t ]+(.*)$/.exec(text)
      if (startLine !== null) {
        if (starts !== null) throw new ScriptError(starts.line, '@st line has no following sample line')
        const labels = parseMetric(startLine[1]!)
        if (typeof labels === 'string') throw new ScriptError(at, labels)
        starts = { labels, offsets: parseStarts(startLine[2]!, at), line: at }
        continue
      }
      const parsed = parseSeriesDescription(text)
      if (typeof parsed === 'string') throw new ScriptError(at, parsed)
      if (starts !== null && !labelsEqual(starts.labels, parsed.labels))
        throw new ScriptError(starts.line, '@st metric does not match the following sample line metric')
      if (starts !== null && starts.offsets.length !== parsed.values.length)
        throw new ScriptError(starts.line, `@st line has ${starts.offsets.length} values but sample line has ${parsed.values.length}`)
      series.push({ ...parsed, startOffsets: starts === null ? null : starts.offsets })
      starts = null
    }
    if (starts !== null) throw new ScriptError(starts.line, '@st line has no following sample line')
    return { kind: 'load', line: number, stepMs, withNhcb: match[1] !== undefined, series }
  }

  #eval(line: string, number: number): Command {
    const instant = evalInstant.exec(line)
    const range = instant === null ? evalRange.exec(line) : null
    if (instant === null && range === null)
      throw new ScriptError(
        number,
        "invalid evaluation command. Must be either 'eval[_fail|_warn|_ordered] instant [at <offset:duration>] <query>' or 'eval[_fail|_warn] range from <from> to <to> step <step> <query>'",
      )
    const isRange = range !== null
    let startMs: number
    let endMs: number
    let stepMs = 0
    if (range !== null) [startMs, endMs, stepMs] = this.#times(range[2]!, range[3]!, range[4]!, number)
    else startMs = endMs = this.#duration(instant![2] ?? '', number, 'timestamp')
    const expects = new Map<ExpectKind, Expectation[]>()
    const expect = (kind: ExpectKind, expectation: Expectation): void => {
      const known = expects.get(kind)
      if (known === undefined) expects.set(kind, [expectation])
      else known.push(expectation)
    }
    const mode = (instant ?? range!)[1]
    const anything: Expectation = { message: null, regex: null }
    if (mode === 'fail') expect('fail', anything)
    if (mode === 'ordered') expect('ordered', anything)
    let expectedString: string | null = null
    let rangeVector: EvalCommand['rangeVector'] = null
    let expectedScalar: number | null = null
    const expected: ExpectedSeries[] = []
    for (const [text, at] of this.#block()) {
      if (mode === 'fail' && text.startsWith('expected_fail_message')) {
        expects.set('fail', [{ message: text.slice('expected_fail_message'.length).trim(), regex: null }])
        continue
      }
      if (mode === 'fail' && text.startsWith('expected_fail_regexp')) {
        expects.set('fail', [{ message: null, regex: this.#regex(text.slice('expected_fail_regexp'.length).trim(), at) }])
        continue
      }
      if (text.startsWith('expect range vector')) {
        const times = expectRange.exec(text)
        if (times === null) throw new ScriptError(at, `invalid range vector definition "${text}"`)
        const [from, to, step] = this.#times(times[1]!, times[2]!, times[3]!, at)
        rangeVector = { startMs: from, endMs: to, stepMs: step }
        continue
      }
      if (text.startsWith('expect string')) {
        expectedString = this.#string(text.slice('expect string'.length).trim(), at)
        continue
      }
      if (text.split(' ', 1)[0] === 'expect') {
        const match = expectLine.exec(text)
        if (match === null) throw new ScriptError(at, 'invalid expect statement, must match `expect <type> <match_type>: <string>` format')
        const wanted = match[3]?.trim()
        const isRegex = match[2] === 'regex'
        expect(match[1] as ExpectKind, {
          message: wanted === undefined || isRegex ? null : wanted,
          regex: wanted !== undefined && isRegex ? this.#regex(wanted, at) : null,
        })
        this.#checkExpects(expects, at)
        continue
      }
      const scalar = parseGoInteger(text) ?? parseGoFloat(text)
      if (scalar !== null) {
        expectedScalar = scalar
        continue
      }
      const series = parseSeriesDescription(text)
      if (typeof series === 'string') throw new ScriptError(at, series)
      if (series.values.length > 1 && !isRange && rangeVector === null)
        throw new ScriptError(
          at,
          "expecting multiple values in instant evaluation not allowed. consider using 'expect range vector' directive to enable a range vector result for an instant query",
        )
      expected.push(series)
    }
    return {
      kind: 'eval',
      line: number,
      expr: (instant === null ? range![5] : instant[3])!,
      isRange,
      startMs,
      endMs,
      stepMs,
      expects,
      wantsWarning: mode === 'warn',
      wantsInfo: mode === 'info',
      expectedString,
      rangeVector,
      expectedScalar,
      expected,
    }
  }

  #checkExpects(expects: ReadonlyMap<ExpectKind, readonly Expectation[]>, line: number): void {
    if (expects.has('info') && expects.has('no_info'))
      throw new ScriptError(line, 'invalid expect lines, info and no_info cannot be used together')
    if (expects.has('warn') && expects.has('no_warn'))
      throw new ScriptError(line, 'invalid expect lines, warn and no_warn cannot be used together')
    if ((expects.get('fail')?.length ?? 0) > 1)
      throw new ScriptError(line, 'invalid expect lines, multiple expect fail lines are not allowed')
  }

  #times(from: string, to: string, step: string, line: number): [number, number, number] {
    const startMs = this.#duration(from, line, 'start timestamp')
    const endMs = this.#duration(to, line, 'end timestamp')
    if (endMs < startMs) throw new ScriptError(line, `invalid test definition, end timestamp (${to}) is before start timestamp (${from})`)
    return [startMs, endMs, this.#duration(step, line, 'step')]
  }
  #duration(text: string, line: number, what: string): number {
    const { ms, problem } = parseDuration(text)
    if (problem !== null) throw new ScriptError(line, `invalid ${what} definition "${text}": ${problem}`)
    return ms
  }
  #regex(pattern: string, line: number): Regex {
    try {
      return compileRegex(pattern)
    } catch {
      throw new ScriptError(line, `invalid regex ${pattern}`)
    }
  }
  #string(text: string, line: number): string {
    if (text === '') throw new ScriptError(line, 'expected string literal not valid - a quoted string literal is required')
    const quoted = text.length >= 2 && text[0] === text.at(-1) && '"\'`'.includes(text[0]!)
    try {
      if (quoted) return unquoteString(text)
    } catch {
      // said below
    }
    throw new ScriptError(line, 'expected string literal not valid - check that the string is correctly quoted')
  }
}

/** `_`, `-1m`, `-1mx5`, `-1m-30sx5`: start timestamps as offsets from the sample's time. */
function parseStarts(text: string, line: number): (number | null)[] {
  const out: (number | null)[] = []
  for (const item of text.split(/\s+/).filter((part) => part !== '')) {
    const blank = /^_(?:x([0-9]+))?$/.exec(item)
    if (blank !== null) {
      for (let i = 0; i < (blank[1] === undefined ? 1 : Number(blank[1])); i++) out.push(null)
      continue
    }
    const match = /^([+-]?)([0-9]+[a-wyz]*)(?:(?:([+-])([+-]?)([0-9]+[a-wyz]*))?x([0-9]+))?$/.exec(item)
    if (match === null) throw new ScriptError(line, `invalid @st sequence: invalid ST item "${item}"`)
    const base = parseDuration(match[2]!)
    const step = match[5] === undefined ? { ms: 0, problem: null } : parseDuration(match[5])
    const problem = base.problem ?? step.problem
    if (problem !== null) throw new ScriptError(line, `invalid @st sequence: invalid ST item "${item}": ${problem}`)
    const by = (match[3] === '-' ? -1 : 1) * (match[4] === '-' ? -1 : 1) * step.ms
    let offset = (match[1] === '-' ? -1 : 1) * base.ms
    for (let i = 0; i <= (match[6] === undefined ? 0 : Number(match[6])); i++) {
      out.push(offset)
      offset += by
    }
  }
  return out
}
