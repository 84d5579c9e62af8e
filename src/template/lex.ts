/**
 * Words of a Go text/template: text outside `{{ }}`, and operators, names and literals inside. Lexing ends at the first error, which is then
 * the last token. Messages are those of Go's text/template/parse, because they reach users through promtool and the alerts themselves.
 */

export type TokenKind =
  | 'error' | 'bool' | 'char' | 'charConstant' | 'complex' | '=' | ':=' | 'eof' | 'field' | 'identifier' | '{{' | '(' | 'number' | '|' // prettier-ignore
  | 'rawString' | '}}' | ')' | 'space' | 'string' | 'text' | 'variable' | 'dot' | 'keyword' // prettier-ignore

/** `from`: UTF-16 offset; `line`: 1-based, of the first character; `text`: as written, or the message of an error. */
export type Token = Readonly<{ kind: TokenKind; from: number; text: string; line: number }>

const keywords = new Set(['block', 'break', 'continue', 'define', 'else', 'end', 'if', 'nil', 'range', 'template', 'with'])
const alphaNumeric = /[\p{L}\p{Nd}_]/u
const spaces = new Set([' ', '\t', '\r', '\n'])
const isSpace = (char: string | undefined): boolean => char !== undefined && spaces.has(char)

export function lex(input: string): Token[] {
  return new Lexer(input).run()
}

class Lexer {
  readonly #input: string
  readonly #tokens: Token[] = []
  #position = 0
  #start = 0
  /** Line of `#start`. */
  #line = 1
  /** The first newline not yet counted. */
  #newline: number
  #depth = 0

  constructor(input: string) {
    this.#input = input
    this.#newline = nextNewline(input, 0)
  }

  run(): Token[] {
    while (this.#text()) if (!this.#action()) return this.#tokens
    return this.#tokens
  }

  /** Counts the newlines before `offset`. Offsets only grow, so every one is looked at once. */
  #countLines(offset: number): void {
    while (this.#newline < offset) {
      this.#line++
      this.#newline = nextNewline(this.#input, this.#newline + 1)
    }
  }

  /** Everything up to the current position becomes a token. */
  #emit(kind: TokenKind): void {
    this.#tokens.push({ kind, from: this.#start, text: this.#input.slice(this.#start, this.#position), line: this.#line })
    this.#skip()
  }

  /** Everything up to the current position is passed over. */
  #skip(): void {
    this.#countLines(this.#position)
    this.#start = this.#position
  }

  #fail(message: string): false {
    this.#tokens.push({ kind: 'error', from: this.#start, text: message, line: this.#line })
    return false
  }

  #at(text: string, offset = this.#position): boolean {
    return this.#input.startsWith(text, offset)
  }

  /** The code point at the position, undefined at the end. */
  #peek(): string | undefined {
    const code = this.#input.codePointAt(this.#position)
    return code === undefined ? undefined : String.fromCodePoint(code)
  }

  /** ` -}}` */
  #atTrimmedRight(offset = this.#position): boolean {
    return isSpace(this.#input[offset]) && this.#at('-}}', offset + 1)
  }

  #skipSpaces(): void {
    while (isSpace(this.#input[this.#position])) this.#position++
  }

  /** Text up to `{{` or the end. False at the end or after an error. */
  #text(): boolean {
    for (;;) {
      const found = this.#input.indexOf('{{', this.#position)
      if (found === -1) {
        this.#position = this.#input.length
        if (this.#position > this.#start) this.#emit('text')
        this.#tokens.push({ kind: 'eof', from: this.#position, text: 'EOF', line: this.#line })
        return false
      }
      const trim = this.#input[found + 2] === '-' && isSpace(this.#input[found + 3])
      let end = found
      if (trim) while (end > this.#start && isSpace(this.#input[end - 1])) end--
      this.#position = end
      if (end > this.#start) this.#emit('text')
      this.#position = found
      this.#skip()
      const comment = found + (trim ? 4 : 2)
      if (!this.#at('/*', comment)) {
        this.#position = found + 2
        this.#emit('{{')
        this.#position = comment
        this.#skip()
        return true
      }
      this.#position = comment
      this.#skip()
      const close = this.#input.indexOf('*/', comment + 2)
      if (close === -1) return this.#fail('unclosed comment')
      this.#position = close + 2
      const trimmed = this.#atTrimmedRight()
      if (!trimmed && !this.#at('}}')) return this.#fail('comment ends before closing delimiter')
      this.#position += trimmed ? 4 : 2
      if (trimmed) this.#skipSpaces()
      this.#skip()
    }
  }

  /** The inside of an action, with its right delimiter. False after an error. */
  #action(): boolean {
    this.#depth = 0
    for (;;) {
      const trimmed = this.#atTrimmedRight()
      if (trimmed || this.#at('}}')) {
        if (this.#depth > 0) return this.#fail('unclosed left paren')
        if (trimmed) {
          this.#position += 2
          this.#skip()
        }
        this.#position += 2
        this.#emit('}}')
        if (trimmed) {
          this.#skipSpaces()
          this.#skip()
        }
        return true
      }
      if (!this.#word()) return false
    }
  }

  #word(): boolean {
    const char = this.#peek()
    if (char === undefined) return this.#fail('unclosed action')
    if (isSpace(char)) {
      // the last space belongs to a trim marker that may follow
      while (isSpace(this.#input[this.#position]) && !this.#atTrimmedRight()) this.#position++
      this.#emit('space')
      return true
    }
    const next = this.#input[this.#position + 1]
    switch (char) {
      case '=':
      case '|':
        this.#position++
        this.#emit(char)
        return true
      case ':':
        if (next !== '=') return this.#fail('expected :=')
        this.#position += 2
        this.#emit(':=')
        return true
      case '(':
        this.#depth++
        this.#position++
        this.#emit('(')
        return true
      case ')':
        if (--this.#depth < 0) return this.#fail('unexpected right paren')
        this.#position++
        this.#emit(')')
        return true
      case '"':
        return this.#quoted('"', 'string', 'unterminated quoted string')
      case "'":
        return this.#quoted("'", 'charConstant', 'unterminated character constant')
      case '`': {
        const close = this.#input.indexOf('`', this.#position + 1)
        if (close === -1) return this.#fail('unterminated raw quoted string')
        this.#position = close + 1
        this.#emit('rawString')
        return true
      }
      case '$':
        this.#position++
        return this.#name('variable')
      case '.':
        if (next === undefined || next < '0' || next > '9') {
          this.#position++
          if (!this.#atTerminator()) return this.#name('field')
          this.#emit('dot')
          return true
        }
        return this.#number()
    }
    if (char === '+' || char === '-' || (char >= '0' && char <= '9')) return this.#number()
    if (alphaNumeric.test(char)) return this.#name('identifier')
    if (char > ' ' && char <= '~') {
      this.#position++
      this.#emit('char')
      return true
    }
    return this.#fail(`unrecognized character in action: ${describe(char)}`)
  }

  #quoted(quote: string, kind: TokenKind, unterminated: string): boolean {
    for (let i = this.#position + 1; i < this.#input.length; i++) {
      const char = this.#input[i]
      if (char === '\n') break
      if (char === '\\') {
        if (this.#input[++i] === '\n') break
      } else if (char === quote) {
        this.#position = i + 1
        this.#emit(kind)
        return true
      }
    }
    return this.#fail(unterminated)
  }

  /** `$name`, `.name` or a bare word; the sigil has been passed. */
  #name(kind: 'variable' | 'field' | 'identifier'): boolean {
    for (let char = this.#peek(); char !== undefined && alphaNumeric.test(char); char = this.#peek()) this.#position += char.length
    if (!this.#atTerminator()) return this.#fail(`bad character ${describe(this.#peek()!)}`)
    const word = this.#input.slice(this.#start, this.#position)
    if (kind !== 'identifier') this.#emit(kind)
    else if (keywords.has(word)) this.#emit('keyword')
    else this.#emit(word === 'true' || word === 'false' ? 'bool' : 'identifier')
    return true
  }

  #atTerminator(): boolean {
    const char = this.#peek()
    return char === undefined || isSpace(char) || '.,|:()'.includes(char) || this.#at('}}')
  }

  #number(): boolean {
    const bad = (): false => this.#fail(`bad number syntax: ${quoteForMessage(this.#input.slice(this.#start, this.#position))}`)
    if (!this.#scanNumber()) return bad()
    const sign = this.#peek()
    if (sign !== '+' && sign !== '-') {
      this.#emit('number')
      return true
    }
    if (!this.#scanNumber() || this.#input[this.#position - 1] !== 'i') return bad()
    this.#emit('complex')
    return true
  }

  #scanNumber(): boolean {
    const shape = /[+-]?(?:0[xX][0-9a-fA-F_]*(?:\.[0-9a-fA-F_]*)?(?:[pP][+-]?[0-9_]*)?|0[oO][0-7_]*(?:\.[0-7_]*)?|0[bB][01_]*(?:\.[01_]*)?|[0-9_]*(?:\.[0-9_]*)?(?:[eE][+-]?[0-9_]*)?)i?/y // prettier-ignore
    shape.lastIndex = this.#position
    shape.exec(this.#input)
    this.#position = shape.lastIndex
    const next = this.#peek()
    if (next === undefined || !alphaNumeric.test(next)) return true
    this.#position += next.length
    return false
  }
}

function nextNewline(text: string, from: number): number {
  const at = text.indexOf('\n', from)
  return at === -1 ? Infinity : at
}

/** Go's %#U: `U+0026 '&'`. */
function describe(char: string): string {
  const code = char.codePointAt(0)!
  const hex = `U+${code.toString(16).toUpperCase().padStart(4, '0')}`
  return /[\p{L}\p{M}\p{N}\p{P}\p{S} ]/u.test(char) ? `${hex} '${char}'` : hex
}

function quoteForMessage(text: string): string {
  return `"${text}"`
}
