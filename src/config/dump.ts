// A configuration written back as YAML, laid out as go-yaml v2 does it, because /api/v1/status/config is compared and diffed by people and tools.
import { resolvePlain } from './yaml-tree.ts'

export type Dump = string | number | boolean | null | readonly Dump[] | FlowList | DumpMap
/** `[a, b]` on one line. */
export class FlowList {
  readonly items: readonly string[]
  constructor(items: readonly string[]) {
    this.items = items
  }
}
export class DumpMap {
  readonly entries: readonly (readonly [string, Dump])[]
  constructor(entries: readonly (readonly [string, Dump])[]) {
    this.entries = entries
  }
}

const widthMax = 80

export function printYaml(root: Dump): string {
  const writer = new Writer()
  writer.node(root, -2, 'root')
  return writer.done()
}

class Writer {
  #out = ''
  #column = 0

  done(): string {
    return this.#out.endsWith('\n') ? this.#out : `${this.#out}\n`
  }
  #write(text: string): void {
    this.#out += text
    const line = text.lastIndexOf('\n')
    this.#column = line < 0 ? this.#column + text.length : text.length - line - 1
  }
  #newLine(indent: number): void {
    if (this.#out !== '' && !this.#out.endsWith('\n')) this.#write('\n')
    this.#write(' '.repeat(Math.max(0, indent)))
  }
  /** indent: that of the map or list around; -2 at the root. */
  node(value: Dump, indent: number, where: 'root' | 'value' | 'item'): void {
    if (value instanceof FlowList) return this.#flow(value.items, indent, where)
    if (value instanceof DumpMap) return this.#map(value, indent, where)
    if (isList(value)) return this.#list(value, indent, where)
    if (where !== 'root') this.#write(' ')
    this.#scalar(value, indent, false)
  }
  #map(map: DumpMap, indent: number, where: 'root' | 'value' | 'item'): void {
    if (map.entries.length === 0) return this.#write(where === 'root' ? '{}' : ' {}')
    const inner = indent + 2
    map.entries.forEach(([key, value], i) => {
      if (where === 'item' && i === 0) this.#write(' ')
      else this.#newLine(inner)
      this.#scalar(key, inner, true)
      this.#write(':')
      this.node(value, inner, 'value')
    })
  }
  #list(list: readonly Dump[], indent: number, where: 'root' | 'value' | 'item'): void {
    if (list.length === 0) return this.#write(where === 'root' ? '[]' : ' []')
    const inner = where === 'value' ? indent : indent + 2 // lists in maps are not indented
    list.forEach((item, i) => {
      if (where === 'item' && i === 0) this.#write(' ')
      else this.#newLine(inner)
      this.#write('-')
      this.node(item, inner, 'item')
    })
  }
  #flow(items: readonly string[], indent: number, where: 'root' | 'value' | 'item'): void {
    if (where !== 'root') this.#write(' ')
    this.#write('[')
    items.forEach((item, i) => {
      if (i > 0) this.#write(',')
      if (this.#column > widthMax) this.#newLine(indent + 2)
      else if (i > 0) this.#write(' ')
      this.#scalar(item, indent, false, true)
    })
    this.#write(']')
  }
  #scalar(value: string | number | boolean | null, indent: number, isKey: boolean, inFlow = false): void {
    if (typeof value !== 'string')
      return this.#write(value === null ? 'null' : typeof value === 'number' ? printFloat(value) : String(value))
    const facts = analyse(value)
    const resolved = resolvePlain(value)
    const canBePlain = resolved.tag === '!!str' && !/^[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?$/.test(value)
    if (value.includes('\n')) {
      if (facts.block && !inFlow && !isKey) this.#literal(value, indent + 2)
      else this.#double(value, indent + 2, !isKey)
    } else if (!canBePlain) {
      this.#double(value, indent + 2, !isKey)
    } else if ((inFlow ? facts.flowPlain : facts.blockPlain) && !(value === '' && (inFlow || isKey))) {
      this.#folded(value, indent + 2, !isKey)
    } else if (facts.single) {
      this.#write("'")
      this.#folded(value.replaceAll("'", "''"), indent + 2, !isKey)
      this.#write("'")
    } else {
      this.#double(value, indent + 2, !isKey)
    }
  }
  /** Text broken at single spaces once the line is full. */
  #folded(text: string, indent: number, mayBreak: boolean): void {
    if (!mayBreak || this.#column + text.length <= widthMax) return this.#write(text)
    let run = ''
    for (let i = 0; i < text.length; i++) {
      const breaks =
        text[i] === ' ' &&
        i > 0 &&
        i < text.length - 1 &&
        text[i - 1] !== ' ' &&
        text[i + 1] !== ' ' &&
        this.#column + run.length > widthMax
      if (!breaks) {
        run += text[i]
        continue
      }
      this.#write(run)
      run = ''
      this.#newLine(indent)
    }
    this.#write(run)
  }
  #double(text: string, indent: number, mayBreak: boolean): void {
    this.#write('"')
    let spaces = false
    let run = ''
    const chars = Array.from(text)
    for (const [i, char] of chars.entries()) {
      if (char === ' ') {
        if (mayBreak && !spaces && this.#column + run.length > widthMax && i > 0 && i < chars.length - 1) {
          this.#write(run)
          run = ''
          this.#newLine(indent)
          if (chars[i + 1] === ' ') run += '\\'
        } else {
          run += char
        }
        spaces = true
        continue
      }
      run += escaped(char)
      spaces = false
    }
    this.#write(`${run}"`)
  }
  #literal(text: string, indent: number): void {
    const hint = /^[ \n]/.test(text) ? '2' : ''
    const chomp = !text.endsWith('\n') ? '-' : text === '\n' || text.endsWith('\n\n') ? '+' : ''
    this.#write(`|${hint}${chomp}\n`)
    for (const [line] of text.matchAll(/[^\n]*\n|[^\n]+$/g)) this.#write(line === '\n' ? line : ' '.repeat(indent) + line)
  }
}

function isList(value: Dump): value is readonly Dump[] {
  return Array.isArray(value)
}

const short: Readonly<Record<string, string>> = {
  '\0': '0',
  '\x07': 'a',
  '\b': 'b',
  '\t': 't',
  '\n': 'n',
  '\v': 'v',
  '\f': 'f',
  '\r': 'r',
  '\x1b': 'e',
  '"': '"',
  '\\': '\\',
  '\x85': 'N',
  '\xa0': '_',
  '\u2028': 'L',
  '\u2029': 'P',
}

function escaped(char: string): string {
  const letter = Object.hasOwn(short, char) ? short[char] : undefined
  if (letter !== undefined && (char !== '\xa0' || !isPrintable(char))) return `\\${letter}`
  if (isPrintable(char) && char !== '\ufeff') return char
  const code = char.codePointAt(0)!
  const hex = code.toString(16).toUpperCase()
  return code <= 0xff ? `\\x${hex.padStart(2, '0')}` : code <= 0xffff ? `\\u${hex.padStart(4, '0')}` : `\\U${hex.padStart(8, '0')}`
}

/** YAML's printable characters as libyaml sees them. */
function isPrintable(char: string): boolean {
  const code = char.codePointAt(0)!
  return (
    code === 0x0a ||
    (code >= 0x20 && code <= 0x7e) ||
    (code >= 0xa0 && code <= 0xd7ff) ||
    (code >= 0xe000 && code <= 0xfffd && code !== 0xfeff) ||
    (code >= 0x10000 && code <= 0x10ffff)
  )
}

/** Which styles can hold a text. */
function analyse(text: string): { blockPlain: boolean; flowPlain: boolean; single: boolean; block: boolean } {
  if (text === '') return { blockPlain: true, flowPlain: false, single: true, block: false }
  let flow = /^(---|\.\.\.)/.test(text)
  let block = flow
  if (/^[#,[\]{}&*!|>'"%@`]/.test(text) || /^-(\s|$)/.test(text)) flow = block = true
  if (/^[?:]/.test(text)) {
    flow = true
    if (/^.(\s|$)/.test(text)) block = true
  }
  if (/.[,?[\]{}:]/s.test(text)) flow = true
  if (/.:(\s|$)/s.test(text) || /\s#/.test(text)) flow = block = true
  const special = Array.from(text).some((char) => !isPrintable(char))
  const edge = /^[ \n]|[ \n]$/.test(text)
  const breakSpace = /\n /.test(text)
  const spaceBreak = / \n/.test(text)
  const plain = !edge && !breakSpace && !spaceBreak && !special && !text.includes('\n')
  return {
    blockPlain: plain && !block,
    flowPlain: plain && !flow,
    single: !breakSpace && !spaceBreak && !special,
    block: !spaceBreak && !special && !text.endsWith(' '),
  }
}

/** Go's shortest form: exponent below 1e-4 and from 1e21. */
function printFloat(value: number): string {
  if (Number.isNaN(value)) return '.nan'
  if (!Number.isFinite(value)) return value > 0 ? '.inf' : '-.inf'
  if (value !== 0 && Math.abs(value) < 1e-4) {
    const [digits, power] = value.toExponential().split('e')
    return `${digits}e-${power!.slice(1).padStart(2, '0')}`
  }
  return String(value)
}
