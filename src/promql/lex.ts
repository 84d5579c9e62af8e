// From query text to tokens. What a character means depends on where it stands: outside, inside braces (all words are label names),
// or inside brackets (only durations and their arithmetic).

import { quote } from '../model/labels.ts'
import { describeCodePoint, quoteChar } from './lex-string.ts'
import { keywords, type Token, type TokenKind } from './lex-token.ts'

type Where = 'outside' | 'braces' | 'duration'

/**
 * Reads one token at a time. After an `error` or `end` token it gives only that one again.
 * @see prometheus/promql/parser/lex.go: the same tokens and the same words for what is wrong
 */
export class Lexer {
  readonly text: string
  #at = 0
  #start = 0
  #where: Where = 'outside'
  #parens = 0
  #inBrackets = false
  #sawColon = false
  /**
   * A duration was seen in some brackets. Prometheus never resets it, so that `[:` in a second range is reported by the parser; here `step()` and
   * its like count as well, so that `[step():]` is read.
   */
  #sawDuration = false
  #last: Token | null = null

  constructor(text: string) {
    this.text = text
  }

  next(): Token {
    if (this.#last !== null) return this.#last
    const token = this.#read()
    if (token.kind === 'end' || token.kind === 'error') this.#last = token
    return token
  }

  #read(): Token {
    const text = this.text
    for (;;) {
      while (this.#at < text.length && isSpace(text.charCodeAt(this.#at))) this.#at++
      this.#start = this.#at
      if (text[this.#at] !== '#' || this.#where === 'duration') break
      while (this.#at < text.length && text[this.#at] !== '\n' && text[this.#at] !== '\r') this.#at++
    }
    const char = this.#pop()
    if (this.#where === 'braces') return this.#inBraces(char)
    if (this.#where === 'duration') return this.#inDuration(char)
    return this.#outside(char)
  }

  /** Takes the next character (code point), or null at the end. */
  #pop(): string | null {
    if (this.#at >= this.text.length) return null
    const char = String.fromCodePoint(this.text.codePointAt(this.#at)!)
    this.#at += char.length
    return char
  }

  /** Takes the next character where it is the wanted one. */
  #accept(wanted: string): boolean {
    if (this.text[this.#at] !== wanted) return false
    this.#at++
    return true
  }

  #token(kind: TokenKind): Token {
    return { kind, from: this.#start, to: this.#at, text: this.text.slice(this.#start, this.#at) }
  }

  /** A problem from `from` on; the stream ends with it. */
  #error(message: string, from = this.#start): Token {
    return { kind: 'error', from, to: this.text.length, text: message }
  }

  #outside(char: string | null): Token {
    switch (char) {
      case null:
        if (this.#parens !== 0) return this.#error('unclosed left parenthesis')
        return this.#inBrackets ? this.#error('unclosed left bracket') : this.#token('end')
      case ',':
      case '*':
      case '/':
      case '%':
      case '+':
      case '-':
      case '^':
      case '@':
        return this.#token(char)
      case '=':
        if (this.#accept('=')) return this.#token('==')
        if (this.text[this.#at] === '~') return this.#error(`unexpected character after '=': '~'`)
        return this.#token('=')
      case '!': {
        if (this.#accept('=')) return this.#token('!=')
        return this.#error(`unexpected character after '!': ${quoteChar(this.#pop())}`)
      }
      case '<':
        return this.#token(this.#accept('=') ? '<=' : this.#accept('/') ? '</' : '<')
      case '>':
        return this.#token(this.#accept('=') ? '>=' : this.#accept('/') ? '>/' : '>')
      case '(':
        this.#parens++
        return this.#token('(')
      case ')':
        if (--this.#parens < 0) return this.#error(`unexpected right parenthesis ')'`, this.#at)
        return this.#token(')')
      case '{':
        this.#where = 'braces'
        return this.#token('{')
      case '[':
        return this.#openBracket()
      case ']':
        if (!this.#inBrackets) return this.#error(`unexpected right bracket ']'`)
        this.#inBrackets = false
        return this.#token(']')
      case '"':
      case "'":
      case '`':
        return this.#string(char)
      default:
        break
    }
    if (isDigit(char) || (char === '.' && isDigit(this.text[this.#at]))) return this.#numberOrDuration()
    if (isAlpha(char) || char === ':') return this.#inBrackets ? this.#wordInBrackets(char) : this.#word()
    return this.#error(`unexpected character: ${quoteChar(char)}`)
  }

  #openBracket(): Token {
    if (this.#inBrackets) return this.#error(`unexpected left bracket '['`)
    this.#inBrackets = true
    this.#sawColon = false
    this.#where = 'duration'
    return this.#token('[')
  }

  /** Behind the first number in brackets: a colon or `step()` and its like. */
  #wordInBrackets(char: string): Token {
    if (char === ':') {
      if (this.#sawColon) return this.#error(`unexpected colon ':'`)
      this.#sawColon = true
      return this.#token(':')
    }
    return this.#durationWord(char) ?? this.#error(`unexpected character: ${quoteChar(char)}, expected ':'`)
  }

  #inDuration(char: string | null): Token {
    switch (char) {
      case null:
        return this.#error('unexpected end of input in duration expression')
      case ']':
        this.#inBrackets = false
        this.#sawColon = false
        this.#where = 'outside'
        return this.#token(']')
      case ':':
        if (!this.#sawDuration) return this.#error('unexpected colon before duration in duration expression', this.#at)
        if (this.#sawColon) return this.#error('unexpected repeated colon in duration expression', this.#at)
        this.#sawColon = true
        return this.#token(':')
      case '(':
        this.#parens++
        return this.#token('(')
      case ')':
        if (--this.#parens < 0) return this.#error(`unexpected right parenthesis ')'`, this.#at)
        return this.#token(')')
      case '+':
      case '-':
      case '*':
      case '/':
      case '%':
      case '^':
      case ',':
        return this.#token(char)
      default:
        break
    }
    if (isDigit(char) || (char === '.' && isDigit(this.text[this.#at]))) {
      this.#sawDuration = true
      this.#where = 'outside' // from here on a bracket reads like anything else, but for words
      return this.#numberOrDuration()
    }
    const word = this.#durationWord(char)
    if (word === null) return this.#error(`unexpected character in duration expression: ${quoteChar(char)}`)
    this.#sawDuration = true
    return word
  }

  /** `step`, `range`, `max_of`, `min_of`; null for any other word. */
  #durationWord(char: string): Token | null {
    if (!isAlpha(char)) return null
    const from = this.#at
    while (isAlpha(this.text[this.#at])) this.#at++
    const kind = keywords.get(this.text.slice(this.#start, this.#at).toLowerCase())
    if (kind === 'step()' || kind === 'range()' || kind === 'max_of()' || kind === 'min_of()') return this.#token(kind)
    this.#at = from
    return null
  }

  #inBraces(char: string | null): Token {
    switch (char) {
      case null:
        return this.#error('unexpected end of input inside braces')
      case ',':
        return this.#token(',')
      case '"':
      case "'":
      case '`':
        return this.#string(char)
      case '=':
        return this.#token(this.#accept('~') ? '=~' : '=')
      case '!': {
        if (this.#accept('~')) return this.#token('!~')
        if (this.#accept('=')) return this.#token('!=')
        return this.#error(`unexpected character after '!' inside braces: ${quoteChar(this.#pop())}`)
      }
      case '{':
        return this.#error(`unexpected left brace '{'`)
      case '}':
        this.#where = 'outside'
        return this.#token('}')
      default:
        break
    }
    if (!isAlpha(char)) return this.#error(`unexpected character inside braces: ${quoteChar(char)}`)
    while (isAlphaNumeric(this.text[this.#at])) this.#at++
    return this.#token('identifier')
  }

  #string(open: string): Token {
    for (;;) {
      const char = this.#pop()
      if (char === open) return this.#token('string')
      if (char === null) return this.#error(open === '`' ? 'unterminated raw string' : 'unterminated quoted string')
      if (char === '\n' && open !== '`') return this.#error('unterminated quoted string')
      if (char === '\ufffd' || !char.isWellFormed()) return this.#error('invalid UTF-8 rune')
      if (char === '\\' && open !== '`') {
        const problem = this.#escape(open)
        if (problem !== null) return this.#error(problem)
      }
    }
  }

  /** Behind a backslash. @returns what is wrong, or null. */
  #escape(open: string): string | null {
    const kind = this.#pop()
    if (kind === null) return 'escape sequence not terminated'
    if (kind === open || 'abfnrtv\\'.includes(kind)) return null
    const isOctal = kind >= '0' && kind <= '7'
    const count = isOctal ? 3 : { x: 2, u: 4, U: 8 }[kind]
    if (count === undefined) return `unknown escape sequence ${describeCodePoint(kind)}`
    let value = isOctal ? Number(kind) : 0
    for (let i = isOctal ? 1 : 0; i < count; i++) {
      const digit = this.#pop()
      if (digit === null) return 'escape sequence not terminated'
      if (!(isOctal ? /^[0-7]$/ : /^[0-9a-fA-F]$/).test(digit)) return `illegal character ${describeCodePoint(digit)} in escape sequence`
      value = value * (isOctal ? 8 : 16) + parseInt(digit, 16)
    }
    const most = kind === 'u' || kind === 'U' ? 0x10ffff : 255
    return value > most || (value >= 0xd800 && value < 0xe000) ? 'escape sequence is an invalid Unicode code point' : null
  }

  #numberOrDuration(): Token {
    this.#at = this.#start
    if (this.#scanNumber()) return this.#token('number')
    if (this.#scanDuration()) return this.#token('duration')
    return this.#error(`bad number or duration syntax: ${quote(this.text.slice(this.#start, this.#at))}`)
  }

  /**
   * Takes digits, one dot, one exponent and underscores; whether they make a number is the parser's business.
   * @returns false where they can't, standing behind the first odd character.
   */
  #scanNumber(): boolean {
    const text = this.text
    const from = this.#at
    let isDigitHere = isDigit
    if (this.#accept('0') && (this.#accept('x') || this.#accept('X'))) {
      this.#accept('_')
      isDigitHere = isHexDigit
    }
    let sawDot = false
    let sawExponent = false
    // a dot in front is not counted and the first hexadecimal digit is never an exponent, as Prometheus has it
    this.#accept('.')
    if (isDigitHere(text[this.#at])) this.#at++
    for (;;) {
      const c = text[this.#at]
      if (c === '.') {
        this.#at++
        if (sawDot) return false
        sawDot = true
        if (this.#accept('_') || this.#accept('.')) return false
        if (isDigitHere === isHexDigit) return false // no fractions in hexadecimal
      } else if (c === 'e' || c === 'E') {
        this.#at++
        if (sawExponent) return false
        sawExponent = true
        if (text[this.#at] === '+' || text[this.#at] === '-') this.#at++
        if (!this.#digitMayFollow()) return false
      } else if (c === '_') {
        this.#at++
        if (!this.#digitMayFollow()) return false
      } else if (isDigitHere(c)) {
        while (isDigitHere(text[this.#at])) this.#at++
      } else break
    }
    return this.#at > from && !isAlphaNumeric(text[this.#at])
  }

  /** Behind an exponent or underscore: neither the end nor one of `._eE`, which is taken for the message. */
  #digitMayFollow(): boolean {
    const c = this.text[this.#at]
    if (c === undefined || !'._eE'.includes(c)) return c !== undefined
    this.#at++
    return false
  }

  /** Behind the first number of a duration: its unit, and more numbers with units. */
  #scanDuration(): boolean {
    if (!this.#acceptUnit('smhdwy')) return false
    while (isDigit(this.text[this.#at])) {
      while (isDigit(this.text[this.#at])) this.#at++
      if (!this.#acceptUnit('smhdw')) return false // y can only come first
    }
    if (!isAlphaNumeric(this.text[this.#at])) return true
    this.#at++ // the message shows the odd character
    return false
  }

  #acceptUnit(units: string): boolean {
    const c = this.text[this.#at]
    if (c === undefined || !units.includes(c)) return false
    this.#at++
    this.#accept('s') // ms; odd ones such as hs are found when the duration is read
    return true
  }

  #word(): Token {
    const text = this.text
    while (isAlphaNumeric(text[this.#at]) || text[this.#at] === ':') this.#at++
    const word = text.slice(this.#start, this.#at)
    const lower = word.toLowerCase()
    if (lower === 'inf' || lower === 'nan') return this.#token('number')
    const keyword = keywords.get(lower)
    if (keyword === undefined) return this.#token(word.includes(':') ? 'metric identifier' : 'identifier')
    // a young keyword, and a good name for a metric: only with its parenthesis
    if (keyword.startsWith('fill') && !this.#parenthesisFollows()) return this.#token('identifier')
    return this.#token(keyword)
  }

  #parenthesisFollows(): boolean {
    let at = this.#at
    while (at < this.text.length && isSpace(this.text.charCodeAt(at))) at++
    return this.text[at] === '('
  }
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x09 || code === 0x0a || code === 0x0d
}

function isDigit(c: string | undefined): boolean {
  return c !== undefined && c >= '0' && c <= '9' && c.length === 1
}

function isHexDigit(c: string | undefined): boolean {
  return isDigit(c) || (c !== undefined && c.length === 1 && ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')))
}

function isAlpha(c: string | undefined): boolean {
  return c !== undefined && c.length === 1 && (c === '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
}

function isAlphaNumeric(c: string | undefined): boolean {
  return isAlpha(c) || isDigit(c)
}
