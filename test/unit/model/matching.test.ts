import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compileMatcher } from '../../../src/model/matching.ts'
import { compileRegex, regexProblem } from '../../../src/model/regex.ts'

describe('matchers', () => {
  const rows: [pattern: string, set: string[] | null, prefix: string, matches: string[], not: string[]][] = [
    ['', [''], '', [''], ['a']],
    ['abc', ['abc'], 'abc', ['abc'], ['abcd', 'xabc', '']],
    ['a|b|', ['a', 'b', ''], '', ['a', 'b', ''], ['ab']],
    ['^foo$', ['foo'], 'foo', ['foo'], ['^foo$']],
    ['foo(bar|baz)?', ['foo', 'foobar', 'foobaz'], 'foo', ['foo', 'foobaz'], ['fooba']],
    ['[45]..', null, '', ['404', '5\n0'], ['304', '40']],
    ['[a-c]1', ['a1', 'b1', 'c1'], '', ['b1'], ['d1', '-1']],
    ['a\\.b', ['a.b'], 'a.b', ['a.b'], ['axb']],
    ['.*', null, '', ['', 'a', 'a\nb'], []],
    ['.+', null, '', ['a', '\n', '😀'], ['']],
    ['foo.*', null, 'foo', ['foo', 'foo\nbar'], ['fo', 'xfoo']],
    ['foo.+', null, 'foo', ['foo1'], ['foo']],
    ['.*foo', null, '', ['foo', 'xfoo'], ['foox']],
    ['.+foo', null, '', ['xfoo', '\nfoo'], ['foo', 'xfoox']],
    ['.*foo.*', null, '', ['foo', 'xfoox'], ['fo']],
    ['.+foo.+', null, '', ['xfoox', 'foofoofoo'], ['foo', 'xfoo', 'foox', 'foofoo']],
    ['a.*b.*c', null, 'a', ['abc', 'a1b2c', 'abcbc'], ['acb', 'ac']],
    ['a.+b.+b', null, 'a', ['axbxb', 'abbbb'], ['abb', 'abbb']],
    ['(foo|bar)-.*', null, '', ['foo-', 'bar-1'], ['baz-1', 'foo']],
    ['foo-[0-9]+|foobar', null, '', ['foo-12', 'foobar'], ['foo-', 'foo']],
    ['node-[0-9]+.*', null, 'node-', ['node-1', 'node-12x'], ['node-', 'xnode-1']],
    ['node-?[0-9]+', null, 'node', ['node1', 'node-1'], ['node-']],
    ['(?i)foo|bar', null, '', ['foo', 'FOO', 'Bar'], ['fooo', '']],
    ['(?i)k.*', null, '', ['k', 'Kx', '\u212a'], ['x']],
    ['(?i:foo)', null, '', ['FoO'], ['f']],
    ['foo|', ['foo', ''], '', ['', 'foo'], ['f']],
  ]
  it.each(rows)('=~ %j', (pattern, set, prefix, matches, not) => {
    const matcher = compileMatcher({ name: 'a', kind: '=~', value: pattern })
    const inverse = compileMatcher({ name: 'a', kind: '!~', value: pattern })
    expect(matcher.setMatches).toEqual(set)
    expect(matcher.prefix).toBe(prefix)
    for (const value of matches) expect([value, matcher.matches(value), inverse.matches(value)]).toEqual([value, true, false])
    for (const value of not) expect([value, matcher.matches(value), inverse.matches(value)]).toEqual([value, false, true])
    expect(matcher.isEmptyMatch).toBe(matches.includes(''))
  })

  it('= and != are plain comparisons', () => {
    const equal = compileMatcher({ name: 'a', kind: '=', value: 'x.*' })
    expect([equal.matches('x.*'), equal.matches('xy'), equal.isEmptyMatch, equal.setMatches]).toEqual([true, false, false, ['x.*']])
    const not = compileMatcher({ name: 'a', kind: '!=', value: '' })
    expect([not.matches(''), not.matches('x'), not.isEmptyMatch, not.isNegative]).toEqual([false, true, false, true])
  })

  it('a wrong pattern is named as it was written, without anchors', () => {
    const compile = (value: string) => () => compileMatcher({ name: 'a', kind: '=~', value })
    expect(compile('(foo')).toThrow('error parsing regexp: missing closing ): `(foo`')
    expect(compile('foo)|(bar')).toThrow('error parsing regexp: unexpected ): `foo)|(bar`')
    expect(compile('a**')).toThrow('error parsing regexp: invalid nested repetition operator: `**`')
    expect(compile('a\\')).toThrow('error parsing regexp: trailing backslash at end of expression: ``')
  })

  it('string tests and RE2 agree on any pattern and value', () => {
    const piece = fc.constantFrom('a', 'b', 'K', 's', '-', '\\.', '.', '.*', '.+', '.*?', '[ab]', '[a-c]', 'x?', '(a|b)', '(?:ab|a.*|)', '|', '^', '$', '😀', '\n', '(', ')', '*', 'a{2}', '\\d', '[^a]') // prettier-ignore
    const pattern = fc
      .tuple(fc.constantFrom('', '', '', '(?i)', '(?s)'), fc.array(piece, { maxLength: 8 }))
      .map(([flags, pieces]) => flags + pieces.join(''))
    const value = fc.array(fc.constantFrom('a', 'b', 'A', 'k', '\u212a', 'ſ', 'x', '-', '.', '😀', '\n', '1'), { maxLength: 7 })
    let shaped = 0
    fc.assert(
      fc.property(
        pattern,
        value.map((chars) => chars.join('')),
        (source, text) => {
          if (regexProblem(source) !== null) {
            expect(() => compileMatcher({ name: 'a', kind: '=~', value: source })).toThrow('error parsing regexp')
            return
          }
          const matcher = compileMatcher({ name: 'a', kind: '=~', value: source })
          const expected = compileRegex(source, { anchored: true }).test(text)
          expect([source, text, matcher.matches(text)]).toEqual([source, text, expected])
          if (expected) expect(text.startsWith(matcher.prefix)).toBe(true)
          if (matcher.setMatches !== null) {
            shaped++
            expect(matcher.setMatches.includes(text)).toBe(expected)
          }
          if (matcher.isAllMatch) expect(expected).toBe(true)
        },
      ),
      { numRuns: 20_000, seed: 7 },
    )
    expect(shaped).toBeGreaterThan(1000)
  })

  it('long lists of hosts stay sets, in groups and with wildcards behind', () => {
    const hosts = Array.from({ length: 3000 }, (_, i) => `host-${i}`)
    const set = compileMatcher({ name: 'a', kind: '=~', value: `(${hosts.join('|')})` })
    expect(set.setMatches).toHaveLength(3000)
    const ports = compileMatcher({ name: 'a', kind: '=~', value: `(${hosts.join('|')}):.+|x.*` })
    expect(['host-17:9090', 'host-2999:1', 'x', 'host-1:', 'host-3000:1', 'y'].map((value) => ports.matches(value))).toEqual([true, true, true, false, false, false]) // prettier-ignore
    const ends = compileMatcher({ name: 'a', kind: '=~', value: `.*(${hosts.slice(0, 100).join('|')})` })
    expect(['xhost-17', 'host-100'].map((value) => ends.matches(value))).toEqual([true, false])
  })

  it('reads long odd patterns in time that grows with their length', () => {
    const patterns = ['a\\.'.repeat(100_000), '.*a'.repeat(1000), '(a)'.repeat(30_000), '(a|b)'.repeat(1000), 'a?'.repeat(500), '[ab]'.repeat(1000), '('.repeat(900)] // prettier-ignore
    for (const value of patterns) {
      const started = performance.now()
      try {
        compileMatcher({ name: 'a', kind: '=~', value }).matches('a.a.a')
      } catch {
        // refused is fine
      }
      expect([value.slice(0, 10), performance.now() - started < 3000]).toEqual([value.slice(0, 10), true])
    }
  })

  it('answers patterns that make backtrackers explode in linear time', () => {
    const text = 'a'.repeat(20_000) + '!'
    for (const source of ['(a+)+', '(a|aa)+b', '(x+x+)+y', '([a-z]+)*[0-9]', '(a*)*(a*)*(a*)*c', '(.*a){12}c']) {
      const started = performance.now()
      expect(compileMatcher({ name: 'a', kind: '=~', value: source }).matches(text)).toBe(false)
      expect(performance.now() - started).toBeLessThan(1000)
    }
  })
})

describe('templates of replacements', () => {
  const rows: [pattern: string, text: string, template: string, want: string][] = [
    ['(.*)-(.*)', 'a-b', '$2-$1', 'b-a'],
    ['(.*)-(.*)', 'a-b', '$1x', ''],
    ['(.*)-(.*)', 'a-b', '${1}x', 'ax'],
    ['(.*)', 'a', '$$1', '$1'],
    ['(.*)', 'a', '$01', ''],
    ['(.*)', 'a', '$7|${nope}|$0', '||a'],
    ['(.*)', 'a', '$-${}${1', '$-${}${1'],
    ['(?P<host>[^:]+):(?P<port>.*)', 'h:80', '$port@${host}', '80@h'],
    ['(a)|(b)', 'b', '<$1$2>', '<b>'],
  ]
  it.each(rows)('%s %s %s', (pattern, text, template, want) => {
    const regex = compileRegex(pattern, { anchored: true })
    expect(regex.expand(template, regex.match(text)!)).toBe(want)
  })
  it('replaces every match, an empty one not right behind another', () => {
    expect(compileRegex('a*').replaceAll('baaac', 'X')).toBe('XbXcX')
    expect(compileRegex('').replaceAll('a😀', '-')).toBe('-a-😀-')
    expect(compileRegex('(l+)').replaceAll('hello all', '[$1]')).toBe('he[ll]o a[ll]')
  })
  it('an anchored pattern matches across lines and is wrapped as it stands', () => {
    expect(compileRegex('a.c', { anchored: true }).test('a\nc')).toBe(true)
    expect(compileRegex('a.c').test('xa\ncx')).toBe(false)
    expect(compileRegex('b', { anchored: true }).test('abc')).toBe(false)
    expect(regexProblem('(a', { anchored: true })).toBe('error parsing regexp: missing closing ): `^(?s:(a)$`')
  })
})
