// What all parsers of PromQL share: one token of look-ahead, problems, and how far nesting may go.

import { limits } from '../base/limits.ts'
import type { Problem, Span } from './ast.ts'
import { describeToken, type Token, type TokenKind } from './lex-token.ts'
import { Lexer } from './lex.ts'

/** Thrown inside the parser to give up, caught at its door; the problem is already noted. */
export class ParseAbort extends Error {}

export class TokenStream {
  readonly text: string
  readonly problems: Problem[] = []
  /** How a problem inside a duration is put: where it is, and what was expected. */
  durationContext: readonly [context: string, expected: string] = ['', '']
  readonly #lexer: Lexer
  #ahead: Token | null = null
  #depth = 0

  constructor(text: string) {
    this.text = text
    this.#lexer = new Lexer(text)
  }

  /** The next token, not taken. It is read only when asked for, so that problems come in Prometheus' order. */
  peek(): Token {
    if (this.#ahead === null) {
      this.#ahead = this.#lexer.next()
      const { kind, from, to, text } = this.#ahead
      if (kind === 'error') this.problem({ from, to }, text)
    }
    return this.#ahead
  }

  take(): Token {
    const token = this.peek()
    this.#ahead = null
    return token
  }

  /** Takes the next token where it is of this kind. */
  takeIf(kind: TokenKind): Token | null {
    return this.peek().kind === kind ? this.take() : null
  }

  problem(span: Span, message: string): void {
    this.problems.push({ span, message })
  }

  /** Gives up at the next token: `unexpected <op:*> in aggregation, expected …`. */
  unexpected(context = '', expected = ''): never {
    const token = this.peek()
    // the lexer's own problem says it already
    if (token.kind !== 'error') {
      const where = context === '' ? '' : ` in ${context}`
      const wanted = expected === '' ? '' : `, expected ${expected}`
      this.problem({ from: token.from, to: token.to }, `unexpected ${describeToken(token)}${where}${wanted}`)
    }
    throw new ParseAbort()
  }

  expect(kind: TokenKind, context = '', expected = ''): Token {
    return this.takeIf(kind) ?? this.unexpected(context, expected)
  }

  /** Runs one level deeper; gives up where that is too deep. */
  nested<T>(parse: () => T): T {
    if (++this.#depth > limits.queryDepthMax) {
      const { from, to } = this.peek()
      this.problem({ from, to }, `query is nested more than ${limits.queryDepthMax} levels deep`)
      throw new ParseAbort()
    }
    const result = parse()
    this.#depth--
    return result
  }
}
