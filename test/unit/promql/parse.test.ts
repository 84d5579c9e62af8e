import { describe, expect, it } from 'vitest'
import { limits } from '../../../src/base/limits.ts'
import { functionSignatures } from '../../../src/promql/functions/signatures.ts'
import { allFeatures, parseExpr, parseMetricSelector, printProblem, stableFeatures } from '../../../src/promql/parse.ts'
import { printExpr } from '../../../src/promql/print.ts'

/** The printed tree, or the first problem without its `parse error: `. */
function check(text: string, features = allFeatures): string {
  const { expr, problems } = parseExpr(text, features)
  if (expr !== null) {
    expect(problems).toEqual([])
    return printExpr(expr)
  }
  return printProblem(text, problems[0]!).replace(': parse error: ', ': ')
}

// what it prints as, where that is not what was written
const good: [text: string, printed?: string][] = [
  ['foo{a="b",c!="d",e=~"f.*",g!~"h|i"}'],
  ['{"metric.name", "label.x"="v"}', '{"label.x"="v",__name__="metric.name"}'],
  ['{"foo"}', '{__name__="foo"}'],
  ['foo{"a"="b",}', 'foo{a="b"}'],
  ['sum by (a, "b.c") (foo)'],
  ['sum(foo) without (a,)', 'sum without (a) (foo)'],
  ['topk(5, foo) by (x)', 'topk by (x) (5, foo)'],
  ['quantile by(job) (0.9, rate(foo[5m] offset 1h))', 'quantile by (job) (0.9, rate(foo[5m] offset 1h))'],
  ['-foo^2', '-foo ^ 2'],
  ['-1^2', '-1 ^ 2'],
  ['2^3^2', '2 ^ 3 ^ 2'],
  ['1 - -1'],
  ['foo offset -5m'],
  ['foo @ 1609746000.1234 offset 5m', 'foo @ 1609746000.123 offset 5m'],
  ['foo @ start()'],
  ['foo[5m] @ end() offset -1h30m'],
  ['foo[1h:5m] @ 123 offset 10s', 'foo[1h:5m] @ 123.000 offset 10s'],
  ['foo[5m] anchored'],
  ['foo smoothed offset 5m @ 12', 'foo @ 12.000 smoothed offset 5m'],
  ['foo[5m + 3m * 2]'],
  ['foo[(5m)]'],
  ['foo[((5m))]', 'foo[(5m)]'],
  ['foo[-(-5m)]'],
  ['foo[step()]'],
  ['foo[step()+1m:range()/10]', 'foo[step() + 1m:range() / 10]'],
  ['foo offset (5m + 3m)'],
  ['foo offset -(5m)'],
  ['foo offset -step()'],
  ['foo offset +step()', 'foo offset step()'],
  ['foo offset - -5m + 3m', 'foo offset 5m + 3m'],
  ['foo offset --5m^2', 'foo offset --5m ^ 2'],
  ['foo offset -min_of(step(), 5m)'],
  ['foo[min_of(5m, max_of(1m,step()))]', 'foo[min_of(5m, max_of(1m, step()))]'],
  ['foo[300]', 'foo[5m]'],
  ['foo[1.5]', 'foo[1s500ms]'],
  ['foo offset 300', 'foo offset 5m'],
  ['foo offset 1.5', 'foo offset 1s500ms'],
  ['foo[1h:300]', 'foo[1h:5m]'],
  ['foo[5m^2]', 'foo[5m ^ 2]'],
  ['foo[2^-1]', 'foo[2 ^ -1]'],
  ['foo + on(a) group_left(b, "c.d") bar', 'foo + on (a) group_left (b, "c.d") bar'],
  ['foo * ignoring(a) group_right bar', 'foo * ignoring (a) group_right () bar'],
  ['foo / on() bar', 'foo / on () bar'],
  ['foo == bool 1'],
  ['1 == bool 1'],
  ['foo and on(a) bar', 'foo and on (a) bar'],
  ['foo + fill(0) bar', 'foo + fill (0) bar'],
  ['foo + on(a) group_left() fill_left(-1.5) fill_right(2) bar', 'foo + on (a) group_left () fill_left (-1.5) fill_right (2) bar'],
  ['foo + fill_right(1) fill_left(1) bar', 'foo + fill (1) bar'],
  ['foo + fill(5m) bar', 'foo + fill (300) bar'],
  ['fill + fill_left'],
  ['label_replace(foo, "a", "$1", "b", "(.*)")'],
  ['label_join(foo, "a", ",")'],
  ['round(foo)'],
  ['pi()'],
  ['day_of_month()'],
  ['count_values("x", foo)'],
  ['info(foo)'],
  ['info(foo, {a="b"})'],
  ['info(foo, {})'],
  ['{a!=""}'],
  ['{__name__="foo"}'],
  ['{__name__="",a="b"}'],
  ['start()'],
  ['end() - start()'],
  ['step'],
  ['range'],
  ['SUM(foo)', 'sum(foo)'],
  ['Sum By (a) (foo)', 'sum by (a) (foo)'],
  ['"a\\nb\\t\\"\\\\\\x41\\u00e9\\U0001F600\\101"', '"a\\nb\\t\\"\\\\A\u00e9😀A"'],
  ["'single \\' quote'", '"single \' quote"'],
  ['`raw \\n "x"`', '"raw \\\\n \\"x\\""'],
  ['"\\xff"'],
  ['"\\xc3\\xa9"', '"\u00e9"'],
  ['1e3', '1000'],
  ['0x1F', '31'],
  ['1_000', '1000'],
  ['.5', '0.5'],
  ['5.', '5'],
  ['1.5e-3', '0.0015'],
  ['Inf', '+Inf'],
  ['-inf', '-Inf'],
  ['NaN'],
  ['1h30m'],
  ['1y2w3d4h5m6s7ms', '382d4h5m6s7ms'],
  ['foo # comment', 'foo'],
  ['# comment\nfoo', 'foo'],
  ['foo{\n# comment\na="b"}', 'foo{a="b"}'],
  ['foo[5m:]'],
  ['(foo)[5m:]'],
  ['by'],
  ['offset'],
  ['and'],
  ['foo atan2 bar'],
  ['limitk(2, foo)'],
  ['limit_ratio(0.5, foo)'],
  ['mad_over_time(foo[5m])'],
  ['sort_by_label(foo, "a", "b")'],
  ['double_exponential_smoothing(foo[5m], 0.1, 0.2)'],
  ['histogram_quantiles(foo, "q", 0.1, 0.5, 0.9)'],
  ['max_of(1, 2)'],
  ['foo </ 5'],
  ['foo >/ bar'],
  ['foo <bool bar', 'foo < bool bar'],
  ['sum by (bool, on, and, by) (foo)'],
  ['sum without () (foo)'],
  ['sum by () (foo)', 'sum(foo)'],
  ['sum(foo) by () ', 'sum(foo)'],
  ['1 + 2 * 3 - 4 / 5 % 6 ^ 7'],
  ['a and b or c unless d'],
  ['((((foo))))'],
  ['-(-(-foo))'],
  ['---foo'],
  ['+foo'],
  ['+5', '5'],
  ['-5m'],
  ['--5', '5'],
  ['foo anchored[5m]', 'foo[5m] anchored'],
  ['foo offset 0s', 'foo'],
  ['foo offset 0s offset 5m', 'foo offset 5m'],
  ['foo[5m-10m]', 'foo[5m - 10m]'],
  ['foo @ 0.0005', 'foo @ 0.001'],
  ['foo @ -0.0005', 'foo @ -0.001'],
  ['foo @ 1.0015', 'foo @ 1.002'],
  ['foo @ 5m', 'foo @ 300.000'],
  ['foo[5m] offset 1ms'],
  [
    '-sum by (job, instance) (rate(http_request_duration_seconds_bucket{job="api-server",env="production"}[5m] offset 5m) + rate(foo[5m]))',
    '-sum by (job, instance) (rate(http_request_duration_seconds_bucket{env="production",job="api-server"}[5m] offset 5m) + rate(foo[5m]))',
  ],
  [
    'max_over_time(sum by (job, instance) (rate(http_request_duration_seconds_bucket{job="api-server",env="production"}[5m] offset 5m))[1h:5m] offset 10m)',
    'max_over_time(sum by (job, instance) (rate(http_request_duration_seconds_bucket{env="production",job="api-server"}[5m] offset 5m))[1h:5m] offset 10m)',
  ],
  [
    '(sum by (job, instance) (rate(http_request_duration_seconds_bucket{job="api-server",env="production"}[5m] offset 5m)))',
    '(sum by (job, instance) (rate(http_request_duration_seconds_bucket{env="production",job="api-server"}[5m] offset 5m)))',
  ],
  [
    'quantile(0.9, (((sum by (job, instance) (rate(http_request_duration_seconds_bucket{job="api-server",env="production"}[5m] offset 5m))))))',
    'quantile(0.9, (((sum by (job, instance) (rate(http_request_duration_seconds_bucket{env="production",job="api-server"}[5m] offset 5m))))))',
  ],
]

const bad: [text: string, problem: string][] = [
  ['foo[5m/0]', '1:7: division by zero'],
  ['foo[5m%0]', '1:7: modulo by zero'],
  ['1 == 1', '1:3: comparisons between scalars must use BOOL modifier'],
  ['foo and on(a) group_left bar', '1:1: no grouping allowed for "and" operation'],
  ['foo or 1', '1:1: set operator "or" not allowed in binary scalar expression'],
  ['foo + on(a) 1', '1:1: vector matching only allowed between instant vectors'],
  ['foo and fill(1) bar', '1:1: filling in missing series not allowed for set operators'],
  ['label_join(foo, "a")', '1:1: expected at least 3 argument(s) in call to "label_join", got 2'],
  ['round(foo, 1, 2)', '1:1: expected at most 2 argument(s) in call to "round", got 3'],
  ['time(1)', '1:1: expected 0 argument(s) in call to "time", got 1'],
  ['vector(foo)', '1:8: expected type scalar in call to function "vector", got instant vector'],
  ['rate(foo)', '1:6: expected type range vector in call to function "rate", got instant vector'],
  ['sum(foo[5m])', '1:5: expected type instant vector in aggregation expression, got range vector'],
  ['sum("x")', '1:5: expected type instant vector in aggregation expression, got string'],
  ['topk(foo, foo)', '1:6: expected type scalar in aggregation parameter, got instant vector'],
  ['count_values(5, foo)', '1:14: expected type string in aggregation parameter, got scalar'],
  ['info(foo, bar)', '1:11: expected label selectors only, got vector selector instead'],
  ['info(foo, {a=~".*"}, {b="c"})', '1:1: expected at most 2 argument(s) in call to "info", got 3'],
  ['info(foo, 5)', '1:1: expected type instant vector in call to function "info", got scalar'],
  ['info(foo, sum(bar))', '1:11: expected label selectors only'],
  ['info(foo, 1+1)', '1:1: expected type instant vector in call to function "info", got scalar'],
  ['{}', '1:1: vector selector must contain at least one non-empty matcher'],
  ['{a=""}', '1:1: vector selector must contain at least one non-empty matcher'],
  ['{a=~".*"}', '1:1: vector selector must contain at least one non-empty matcher'],
  ['foo{__name__="bar"}', '1:1: metric name must not be set twice: "foo" or "bar"'],
  ['foo{__name__=~"bar", a="b"}', '1:1: metric name must not be set twice: "foo" or "bar"'],
  ['{__name__=""}', '1:1: vector selector must contain at least one non-empty matcher'],
  ['foo{a=~"("}', '1:5: error parsing regexp: missing closing ): `(`'],
  ['unknown(foo)', '1:1: unknown function with name "unknown"'],
  ['STEP()', '1:1: unknown function with name "STEP"'],
  ['"bad \\q"', "1:1: unknown escape sequence U+0071 'q'"],
  ['"bad \\xg"', "1:1: illegal character U+0067 'g' in escape sequence"],
  ['"\\ud800"', '1:1: escape sequence is an invalid Unicode code point'],
  ['"unterminated', '1:1: unterminated quoted string'],
  ['1e400', '1:1: error parsing number: strconv.ParseFloat: parsing "1e400": value out of range'],
  ['0xg', '1:1: bad number or duration syntax: "0x"'],
  ['1m1h', '1:1: not a valid duration string: "1m1h"'],
  ['5m5m', '1:1: not a valid duration string: "5m5m"'],
  ['300y', '1:1: duration out of range'],
  ['1hs', '1:1: unknown unit "hs" in duration "1hs"'],
  ['\n\n foo bar', '3:6: unexpected identifier "bar"'],
  ['\u00e9', "1:1: unexpected character: '\u00e9'"],
  ['"\u00e9" foo', '1:6: unexpected identifier "foo"'],
  ['"日本語" foo', '1:13: unexpected identifier "foo"'],
  ['sum(sum(foo) by (a)', '1:20: unclosed left parenthesis'],
  ['sum by', '1:7: unexpected end of input in grouping opts, expected "("'],
  ['sum(foo) by', '1:12: unexpected end of input in grouping opts, expected "("'],
  ['avg(', '1:5: unclosed left parenthesis'],
  ['foo{', '1:5: unexpected end of input inside braces'],
  ['foo{a', '1:6: unexpected end of input inside braces'],
  ['foo{a=', '1:7: unexpected end of input inside braces'],
  ['foo{a="b"', '1:10: unexpected end of input inside braces'],
  ['foo[', '1:5: unexpected end of input in duration expression'],
  ['foo[5m', '1:7: unclosed left bracket'],
  ['foo[5m:', '1:8: unclosed left bracket'],
  ['foo]', "1:4: unexpected right bracket ']'"],
  ['foo}', "1:4: unexpected character: '}'"],
  ['foo[5m][5m]', '1:8: ranges only allowed for vector selectors'],
  ['foo[5m]offset 5m offset 6m', '1:1: offset may not be set multiple times'],
  ['foo @ 5 @ 6', '1:1: @ <timestamp> may not be set multiple times'],
  ['foo @ Inf', '1:1: timestamp out of bounds for @ modifier: +Inf'],
  ['foo @ -nan', '1:1: timestamp out of bounds for @ modifier: NaN'],
  ['foo @ 1e30', '1:1: timestamp out of bounds for @ modifier: 1000000000000000019884624838656.000000'],
  ['foo @ 9223372036854775807', '1:1: timestamp out of bounds for @ modifier: 9223372036854775808.000000'],
  ['sum(foo) offset 5m', '1:1: offset modifier must be preceded by an instant vector selector or range vector selector or a subquery'],
  ['1 offset 5m', '1:1: offset modifier must be preceded by an instant vector selector or range vector selector or a subquery'],
  ['(foo)[5m]', '1:6: ranges only allowed for vector selectors'],
  ['foo offset 5m[5m]', '1:14: no offset modifiers allowed before range'],
  ['foo @ 5 [5m]', '1:9: no @ modifiers allowed before range'],
  ['sum(foo)[5m]', '1:9: ranges only allowed for vector selectors'],
  ['1[5m:]', '1:1: subquery is only allowed on instant vector, got scalar instead'],
  ['"x"[5m:]', '1:1: subquery is only allowed on instant vector, got string instead'],
  ['foo[5m][5m:]', '1:1: subquery is only allowed on instant vector, got matrix instead'],
  ['-foo[5m]', '1:1: unary expression only allowed on expressions of type scalar or instant vector, got "range vector"'],
  ['-"x"', '1:1: unary expression only allowed on expressions of type scalar or instant vector, got "string"'],
  ['foo[5m] + 1', '1:1: binary expression must contain only scalar and instant vector types'],
  ['"a" + "b"', '1:1: binary expression must contain only scalar and instant vector types'],
  ['foo{a="b" c="d"}', '1:11: unexpected identifier "c" in label matching, expected "," or "}"'],
  ['foo{,}', '1:5: unexpected "," in label matching, expected identifier or "}"'],
  ['foo{a==b}', '1:7: unexpected "=" in label matching, expected string'],
  ['foo{a:b="c"}', "1:6: unexpected character inside braces: ':'"],
  ['foo{5="a"}', "1:5: unexpected character inside braces: '5'"],
  ['bool', '1:1: unexpected <bool>'],
  ['on', '1:1: unexpected <on>'],
  ['foo and', '1:8: unexpected end of input'],
  ['atan2', '1:1: unexpected <op:atan2>'],
  ['foo !~ bar', "1:5: unexpected character after '!': '~'"],
  ['foo =~ bar', "1:5: unexpected character after '=': '~'"],
  ['foo = bar', '1:5: unexpected "="'],
  ['foo ! bar', "1:5: unexpected character after '!': ' '"],
  ['!', "1:1: unexpected character after '!': '�'"],
  ['&', "1:1: unexpected character: '&'"],
  ['foo,bar', '1:4: unexpected ","'],
  ['abs(foo, )', '1:8: trailing commas not allowed in function call args'],
  ['abs(, foo)', '1:5: unexpected ","'],
  ['abs(foo bar)', '1:9: unexpected identifier "bar"'],
  ['sum(foo, bar)', '1:1: wrong number of arguments for aggregate expression provided, expected 1, got 2'],
  ['sum()', '1:1: no arguments for aggregate expression provided'],
  ['topk(5)', '1:1: wrong number of arguments for aggregate expression provided, expected 2, got 1'],
  ['histogram_quantiles(foo, "q")', '1:1: expected at least 3 argument(s) in call to "histogram_quantiles", got 2'],
  ['min_of(1)', '1:1: expected 2 argument(s) in call to "min_of", got 1'],
  ['sum by (a b) (foo)', '1:11: unexpected identifier "b" in grouping opts, expected "," or ")"'],
  ['sum by (5) (foo)', '1:9: unexpected number "5" in grouping opts, expected label'],
  ['sum by (inf) (foo)', '1:9: unexpected number "inf" in grouping opts, expected label'],
  ['sum by ("") (foo)', '1:9: invalid label name for grouping: ""'],
  ['foo + bool bar', '1:5: bool modifier can only be used on comparison operators'],
  ['foo + group_left bar', '1:7: unexpected <group_left>'],
  ['foo == on(a) bool bar', '1:14: unexpected <bool>'],
  ['foo[5m]smoothed anchored', '1:1: anchored and smoothed modifiers cannot be used together'],
  ['foo[5m:] anchored', '1:1: anchored modifier is not supported for subqueries'],
  ['sum(foo) anchored', '1:1: anchored modifier not implemented'],
  ['1 smoothed', '1:1: smoothed modifier not implemented'],
  ['foo[0]', '1:5: duration must be greater than 0'],
  ['foo[-5m]', '1:5: duration must be greater than 0'],
]

describe('expressions', () => {
  it.each(good)('%j', (text, printed = text) => expect(check(text)).toBe(printed))
  it.each(good)('prints as it reads: %j', (text, printed = text) => expect(check(printed)).toBe(printed))
  it.each(bad)('%j is refused', (text, problem) => expect(check(text)).toBe(problem))
})

describe('features behind flags', () => {
  const rows: [text: string, problem: string][] = [
    ['foo anchored', '1:1: anchored modifier is experimental and not enabled'],
    ['rate(foo[5m] smoothed)', '1:6: smoothed modifier is experimental and not enabled'],
    ['foo + fill(0) bar', '1:1: binop fill modifiers are experimental and not enabled'],
    ['limitk(2, foo)', '1:1: limitk() is experimental and must be enabled with --enable-feature=promql-experimental-functions'],
    [
      '1 + limit_ratio(0.5, foo)',
      '1:5: limit_ratio() is experimental and must be enabled with --enable-feature=promql-experimental-functions',
    ],
    ['sort_by_label(foo, "a")', '1:1: function "sort_by_label" is not enabled'],
    ['info(foo)', '1:1: function "info" is not enabled'],
    ['step()', '1:1: function "step" is not enabled'],
    ['start()', '1:1: function "start" is not enabled'],
    ['max_of(1, 2)', '1:1: function "max_of" is not enabled'],
  ]
  it.each(rows)('%j', (text, problem) => {
    expect(check(text, stableFeatures)).toBe(problem)
    expect(check(text)).not.toContain(': ')
  })
  it('duration expressions need none', () => expect(check('foo[step() * 2] offset min_of(1m, step())', stableFeatures)).not.toContain(': '))
})

describe('bounds', () => {
  const nest = (open: string, close: string, count: number): string => open.repeat(count) + 'foo' + close.repeat(count)
  const rows: [what: string, text: string, problem: RegExp][] = [
    ['parentheses', nest('(', ')', 5000), /nested more than 400 levels/],
    ['calls', nest('abs(', ')', 5000), /nested more than 400 levels/],
    ['aggregations', nest('sum(', ')', 5000), /nested more than 400 levels/],
    ['signs', '-'.repeat(100_000) + 'foo', /nested more than 400 levels/],
    ['powers', '2^'.repeat(5000) + '2', /nested more than 400 levels/],
    ['parentheses in durations', `foo[${'('.repeat(5000)}5m${')'.repeat(5000)}]`, /nested more than 400 levels/],
    ['signs in durations', `foo[${'-'.repeat(5000)}5m]`, /nested more than 400 levels/],
    ['a chain', 'foo' + ' or foo'.repeat(5000), /is 5001 levels deep, limit is 1000/],
    ['a chain of durations', `foo[5m${' + 5m'.repeat(5000)}]`, /levels deep, limit is 1000/],
    ['subqueries of subqueries', 'foo' + '[5m:]'.repeat(5000), /levels deep, limit is 1000/],
    ['open parentheses', '('.repeat(100_000), /./],
    ['length', 'foo + ' + 'x'.repeat(limits.queryBytesMax), /query has 1048582 bytes, limit is 1048576/],
  ]
  it.each(rows)('refuses too many %s', (_, text, problem) => expect(check(text)).toMatch(problem))
  it('takes what is long or deep but not too much', () => {
    expect(check(nest('(', ')', 390))).toBe(nest('(', ')', 390))
    expect(check('foo' + ' or foo'.repeat(900))).toContain('foo or foo')
    const labels = Array.from({ length: 20_000 }, (_, i) => `l${i}="v"`).join(',')
    expect(check(`foo{${labels}}`)).toHaveLength(labels.length + 5)
  })
})

describe('trees', () => {
  const tree = (text: string): unknown => parseExpr(text, allFeatures).expr
  it('spans are UTF-16 offsets of the text a node came from', () => {
    const text = `sum by (a) (rate({"😀"}[5m] offset 1m)) + 1`
    const expr = parseExpr(text, allFeatures).expr!
    const pick = ({ span }: { span: { from: number; to: number } }): string => text.slice(span.from, span.to)
    if (expr.kind !== 'binary' || expr.left.kind !== 'aggregate' || expr.left.expr.kind !== 'call') throw new Error('another tree')
    expect(pick(expr)).toBe(text)
    expect(pick(expr.left)).toBe(`sum by (a) (rate({"😀"}[5m] offset 1m))`)
    expect(pick(expr.left.expr)).toBe(`rate({"😀"}[5m] offset 1m)`)
    expect(pick(expr.left.expr.args[0]!)).toBe(`{"😀"}[5m] offset 1m`)
    expect(pick(expr.right)).toBe('1')
  })
  it('columns count UTF-8 bytes', () => expect(check('"\u00e9" foo')).toBe('1:6: unexpected identifier "foo"'))
  it('set operators are many-to-many, scalars have no matching', () => {
    expect(tree('a and b')).toMatchObject({ matching: { cardinality: 'many-to-many', on: false, labels: [] } })
    expect(tree('a + on (x) group_left (y) b')).toMatchObject({
      matching: { cardinality: 'many-to-one', on: true, labels: ['x'], include: ['y'] },
    })
    expect(tree('a + fill_left(2) b')).toMatchObject({ matching: { cardinality: 'one-to-one', fillLeft: 2, fillRight: null } })
    expect(tree('a + 1')).toMatchObject({ matching: null })
    expect(tree('1 + 1')).toMatchObject({ matching: null })
  })
  it('the name in front is the last matcher', () => {
    expect(tree('foo{a="b"}')).toMatchObject({
      name: 'foo',
      matchers: [
        { name: 'a', kind: '=', value: 'b' },
        { name: '__name__', kind: '=', value: 'foo' },
      ],
    })
    expect(tree('{"foo", a="b"}')).toMatchObject({ name: '', matchers: [{ name: '__name__', kind: '=', value: 'foo' }, { name: 'a' }] })
  })
  it('durations', () => {
    expect(tree('foo[1.5] offset -90')).toMatchObject({
      range: { kind: 'constant', ms: 1500, seconds: 1.5, isDuration: false },
      selector: { offset: { kind: 'constant', ms: -90_000, seconds: -90 } },
    })
    expect(tree('foo offset 0s')).toMatchObject({ offset: null })
    expect(tree('foo[5m * 2]')).toMatchObject({
      range: { kind: 'binary', op: '*', left: { ms: 300_000, isDuration: true }, right: { seconds: 2 } },
    })
    expect(tree('foo @ -1.0005')).toMatchObject({ at: { kind: 'time', timeMs: -1001 } })
  })
  it('a sign in front of a number is part of it', () => {
    expect(tree('-5m')).toMatchObject({ kind: 'number', value: -300, isDuration: true, span: { from: 0, to: 3 } })
    expect(tree('-1^2')).toMatchObject({ kind: 'unary', expr: { kind: 'binary', op: '^' } })
  })
})

describe('match[] selectors', () => {
  const rows: [text: string, want: string][] = [
    ['up', '__name__=up'],
    ['{a="b",c=~"d"}', 'a=b,c=~d'],
    ['{}', ''],
    ['{"a.b"}', '__name__=a.b'],
    ['up[5m]', '1:3: parse error: unexpected "["'],
    ['1', '1:1: parse error: unexpected number "1"'],
    ['', 'unknown position: parse error: unexpected end of input'],
    ['up{', '1:4: parse error: unexpected end of input inside braces'],
    ['rate(up)', '1:5: parse error: unexpected "("'],
  ]
  it.each(rows)('%j', (text, want) => {
    const { matchers, problems } = parseMetricSelector(text)
    const got = matchers?.map(({ name, kind, value }) => `${name}${kind}${value}`).join(',')
    expect(got ?? printProblem(text, problems[0]!)).toBe(want)
  })
})

it('there are 90 functions, 17 of them experimental', () => {
  const all = [...functionSignatures.values()]
  expect([all.length, all.filter(({ experimental }) => experimental).length]).toEqual([90, 17])
})
