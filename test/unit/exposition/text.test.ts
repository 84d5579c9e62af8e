// The text formats, entry by entry: what Prometheus takes and what it refuses.
import { describe, expect, it } from 'vitest'
import { printLabels } from '../../../src/model/labels.ts'
import { plainReading, readTextEntries, type MetricEntry } from '../../../protocols/exposition/entries.ts'
import { escapeName, unescapeName } from '../../../protocols/exposition/names.ts'
import { parseNumber, printBoundLabel, readSimpleNumber } from '../../../protocols/exposition/numbers.ts'
import { seededRng } from '../../../src/base/rng.ts'

function print(item: MetricEntry): string {
  if (item.kind === 'type') return `TYPE ${item.family} ${item.type}`
  if (item.kind === 'help') return `HELP ${item.family} ${item.help}`
  if (item.kind === 'unit') return `UNIT ${item.family} ${item.unit}`
  const exemplars = item.exemplars.map(
    ({ labels, value, timeMs }) => ` # ${printLabels(labels)} ${value}${timeMs === null ? '' : ` ${timeMs}`}`,
  )
  const value = item.kind === 'sample' ? String(Object.is(item.value, -0) ? '-0' : item.value) : `histogram ${item.histogram.count}`
  const start = item.startTimeMs === 0 ? '' : ` ^${item.startTimeMs}`
  return `${printLabels(item.labels)} ${value}${item.timeMs === null ? '' : ` @${item.timeMs}`}${exemplars.join('')}${start}`
}

function read(body: string | Uint8Array, dialect: 'text' | 'openmetrics', options = plainReading): string[] | string {
  try {
    return Array.from(readTextEntries(typeof body === 'string' ? new TextEncoder().encode(body) : body, dialect, options), print)
  } catch (thrown) {
    return (thrown as Error).message
  }
}

describe('text 0.0.4 and 1.0.0', () => {
  const good: [string, string[]][] = [
    ['', []],
    ['\n\n', []],
    ['a 1', ['{__name__="a"} 1']],
    ['a 1 1000\n', ['{__name__="a"} 1 @1000']],
    ['a\t+1.5e3 \t12 \n', ['{__name__="a"} 1500 @12']],
    ['  a 1\n', ['{__name__="a"} 1']],
    ['a:b_C9{} 0\n', ['{__name__="a:b_C9"} 0']],
    ['a{x="1",y="2"} 1\n', ['{__name__="a", x="1", y="2"} 1']],
    ['a { y = "2" , x="1" , } 1\n', ['{__name__="a", x="1", y="2"} 1']],
    ['a{x="1" y="2"} 1\n', ['{__name__="a", x="1", y="2"} 1']],
    ['a{x="1"}2\n', ['{__name__="a", x="1"} 2']],
    ['a+2\n', ['{__name__="a"} 2']],
    ['a{x="\\"\\\\\\n\\t"} 1\n', ['{__name__="a", x="\\"\\\\\\n\\\\t"} 1']],
    ['a{x="one\ntwo"} 1\n', ['{__name__="a", x="one\\ntwo"} 1']],
    ['a{x="}"} 1\n', ['{__name__="a", x="}"} 1']],
    [
      'a NaN\na +Inf\na -inf\na nan\na Infinity\n',
      ['{__name__="a"} NaN', '{__name__="a"} Infinity', '{__name__="a"} -Infinity', '{__name__="a"} NaN', '{__name__="a"} Infinity'],
    ],
    [
      'a -0\na .5\na 5.\na 1e-7\na 123456789012345678\n',
      ['{__name__="a"} -0', '{__name__="a"} 0.5', '{__name__="a"} 5', '{__name__="a"} 1e-7', '{__name__="a"} 123456789012345680'],
    ],
    ['{"a.b"} 1\n', ['{__name__="a.b"} 1']],
    ['{"a.b",x="1"} 1\n', ['{__name__="a.b", x="1"} 1']],
    ['{x="1","a.b"} 1\n', ['{__name__="a.b", x="1"} 1']],
    ['{"a.b","x y"="1"} 1\n', ['{__name__="a.b", "x y"="1"} 1']],
    ['a{"x y"="é"} 1\n', ['{__name__="a", "x y"="é"} 1']],
    ['# HELP a Some \\\\ text\\n more\n', ['HELP a Some \\ text\n more']],
    ['# HELP a\n', ['HELP a ']],
    ['# HELP  a  two\n', ['HELP a  two']],
    ['# HELP "a b" x\n# TYPE "a b" gauge\n', ['HELP a b x', 'TYPE a b gauge']],
    ['# TYPE a counter\n#TYPE a b\n# TYPEa\n# any thing\n#\n# UNIT a b\n', ['TYPE a counter']],
    ['# TYPE a untyped\n', ['TYPE a unknown']],
    [
      '# TYPE h histogram\nh_bucket{le="1"} 1\nh_bucket{le="1e6"} 1\nh_bucket{le="x"} 1\n',
      ['TYPE h histogram', '{__name__="h_bucket", le="1.0"} 1', '{__name__="h_bucket", le="1e+06"} 1', '{__name__="h_bucket", le="x"} 1'],
    ],
    ['# TYPE s summary\ns{quantile="0.50"} 1\n', ['TYPE s summary', '{__name__="s", quantile="0.5"} 1']],
    ['a 1\n\0junk', ['{__name__="a"} 1']],
  ]
  it.each(good)('%j', (body, entries) => {
    expect(read(body, 'text')).toEqual(entries)
  })
  const bad: [string | Uint8Array, RegExp][] = [
    ['a\n', /^expected value after metric.*line 1, offset 1/],
    ['a 1\nb\n', /line 2, offset 5/],
    ['a 1 x\n', /^expected timestamp/],
    ['a 1 -5\n', /^expected timestamp/],
    ['a 1 1.5\n', /^expected next entry after timestamp/],
    ['a 1 9223372036854775808\n', /out of range/],
    ['a 1_0\n', /cannot parse "1_0"/],
    ['a 0x10\n', /cannot parse/],
    ['a 0x1p3\n', /cannot parse/],
    ['a 1e400\n', /cannot parse/],
    ['a +nan\n', /cannot parse/],
    ['a 1\r\n', /cannot parse/],
    ['a{x=1} 1\n', /^expected label value/],
    ['a{x} 1\n', /^expected equal/],
    ['a{"x"} 1\n', /^metric name already set/],
    ['{x="1"} 1\n', /^metric name not set/],
    ['{} 1\n', /^metric name not set/],
    ['{"a","b"} 1\n', /^metric name already set/],
    ['a{,} 1\n', /^expected label name/],
    ['a{x="1",,} 1\n', /^expected label name/],
    ['a{x="1} 1\n', /^quoted text does not end/],
    ['a{x="1"\n', /^expected label name/],
    ['a{9="1"} 1\n', /^expected label name/],
    ['9 1\n', /^expected a valid start token/],
    ['# TYPE a meh\n', /^invalid metric type "meh"/],
    ['# TYPE a counter \n', /^invalid metric type "counter "/],
    ['# TYPE a info\n', /^invalid metric type "info"/],
    ['# TYPE 9 counter\n', /^expected metric name after TYPE/],
    ['# TYPE a\n', /^invalid metric type ""/],
    [Uint8Array.of(97, 123, 120, 61, 34, 0xff, 34, 125, 32, 49, 10), /^label value is not valid UTF-8/],
    [Uint8Array.of(35, 32, 72, 69, 76, 80, 32, 97, 32, 0xc3, 10), /^help text is not valid UTF-8/],
    [`a{${Array.from({ length: 1100 }, (_, i) => `l${i}="1"`).join(',')}} 1\n`, /^more than 1000 labels/],
  ]
  it.each(bad)('%j', (body, error) => {
    expect(read(body, 'text')).toMatch(error)
  })
})

describe('OpenMetrics', () => {
  const good: [string, string[]][] = [
    ['# EOF', []],
    ['a 1\n# EOF\n', ['{__name__="a"} 1']],
    ['a 1 1.5\n# EOF\n', ['{__name__="a"} 1 @1500']],
    ['a 1 -1.5\n# EOF\n', ['{__name__="a"} 1 @-1500']],
    ['a{x="1",} 1\n# EOF\n', ['{__name__="a", x="1"} 1']],
    ['a_total 1 # {id="x"} 2\n# EOF\n', ['{__name__="a_total"} 1 # {id="x"} 2']],
    ['a_total 1 5 # {id="x",b="\\"#"} 2 1.25\n# EOF\n', ['{__name__="a_total"} 1 @5000 # {b="\\"#", id="x"} 2 1250']],
    ['a_total 1 # {} 2\n# EOF\n', ['{__name__="a_total"} 1 # {} 2']],
    ['{"a.b",x="1"} 1 # {"t u"="v"} 1\n# EOF\n', ['{__name__="a.b", x="1"} 1 # {"t u"="v"} 1']],
    ['# TYPE a stateset\n# HELP a x\\ny\\"\n# UNIT a_s s\n# EOF\n', ['TYPE a stateset', 'HELP a x\ny"', 'UNIT a_s s']],
    ['# HELP a \n# UNIT a \n# EOF\n', ['HELP a ', 'UNIT a ']],
    ['# TYPE a gaugehistogram\na_bucket{le="1"} 1\n# EOF\n', ['TYPE a gaugehistogram', '{__name__="a_bucket", le="1"} 1']],
  ]
  it.each(good)('%j', (body, entries) => {
    expect(read(body, 'openmetrics')).toEqual(entries)
  })
  const bad: [string, RegExp][] = [
    ['', /does not end with # EOF/],
    ['a 1\n', /does not end with # EOF/],
    ['a 1', /does not end with # EOF/],
    ['# EOF\n\n', /^unexpected data after # EOF/],
    ['# EOF\na 1\n', /^unexpected data after # EOF/],
    ['\n# EOF\n', /^expected a valid start token/],
    ['a  1\n# EOF\n', /^expected value after metric/],
    ['a 1 \n# EOF\n', /^expected timestamp/],
    ['a 1  \n# EOF\n', /^expected timestamp/],
    ['a\t1\n# EOF\n', /^expected value after metric/],
    ['a{x="1" } 1\n# EOF\n', /^expected comma or brace close/],
    ['a{x="1"y="2"} 1\n# EOF\n', /^expected comma or brace close/],
    ['a{x="1"}1\n# EOF\n', /^expected value after metric/],
    ['a 1 NaN\n# EOF\n', /^invalid timestamp/],
    ['a 1 # {a="1"}\n# EOF\n', /^expected value after exemplar labels/],
    ['a 1 # {a="1"} 1 +Inf\n# EOF\n', /^invalid exemplar timestamp/],
    ['a 1 # {"a"} 1\n# EOF\n', /^expected equal/],
    ['a 1 # {a="1"} 1 1 1\n# EOF\n', /^expected end of line/],
    ['# comment\n# EOF\n', /^expected HELP, TYPE, UNIT or EOF/],
    ['#\n# EOF\n', /^expected a valid start token/],
    ['# TYPE a untyped\n# EOF\n', /^invalid metric type/],
    ['# HELP a\n# EOF\n', /^expected text in HELP/],
    ['# UNIT a seconds\n# EOF\n', /^unit "seconds" not a suffix/],
    ['# UNIT seconds seconds\n# EOF\n', /^unit "seconds" not a suffix/],
  ]
  it.each(bad)('%j', (body, error) => {
    expect(read(body, 'openmetrics')).toMatch(error)
  })
  it('created lines become start times where asked', () => {
    const body =
      '# TYPE c counter\nc_total{a="1"} 5\nc_created{a="1"} 1.5\nc_total{a="2"} 6\n# TYPE h histogram\nh_bucket{le="1"} 1\nh_bucket{le="+Inf"} 1\nh_count 1\nh_sum 1\nh_created 2\n# TYPE g gauge\ng_created 3\n# EOF\n'
    expect(read(body, 'openmetrics', { ...plainReading, startTimes: true })).toEqual([
      'TYPE c counter',
      '{__name__="c_total", a="1"} 5 ^1500',
      '{__name__="c_total", a="2"} 6',
      'TYPE h histogram',
      '{__name__="h_bucket", le="1.0"} 1 ^2000',
      '{__name__="h_bucket", le="+Inf"} 1 ^2000',
      '{__name__="h_count"} 1 ^2000',
      '{__name__="h_sum"} 1 ^2000',
      'TYPE g gauge',
      '{__name__="g_created"} 3',
    ])
    expect(read(body, 'openmetrics')).toContain('{__name__="c_created", a="1"} 1.5')
  })
  it('adds type and unit where asked, and drops what pretends to be them', () => {
    const body = '# TYPE c_s counter\n# UNIT c_s s\nc_s_total{__type__="x",a="1",__unit__="y"} 5\n# EOF\n'
    expect(read(body, 'openmetrics', { ...plainReading, typeAndUnitLabels: true })).toContain(
      '{__name__="c_s_total", __type__="counter", __unit__="s", a="1"} 5',
    )
  })
})

describe('numbers', () => {
  it('agree with the engine on anything that looks like one', () => {
    const rng = seededRng(7)
    const out = new Float64Array(1)
    for (let i = 0; i < 20_000; i++) {
      const digits = (most: number): string => Array.from({ length: rng.below(most) + 1 }, () => rng.below(10)).join('')
      const text = `${rng.chance(0.3) ? '-' : ''}${digits(20)}${rng.chance(0.6) ? `.${digits(18)}` : ''}${rng.chance(0.3) ? `e${rng.chance(0.5) ? '-' : '+'}${rng.below(320)}` : ''}`
      const end = readSimpleNumber(new TextEncoder().encode(`${text}\n`), 0, out, 0)
      if (end >= 0) expect([text, end, out[0]]).toEqual([text, text.length, Number(text)])
      else expect(parseNumber(text) === null || text.length > 30 || !Number.isFinite(Number(text))).toBe(true)
    }
  })
  it.each([
    [1, '1.0'],
    [0, '0.0'],
    [-0, '0.0'],
    [-1, '-1.0'],
    [0.005, '0.005'],
    [1e-5, '1e-05'],
    [123456, '123456.0'],
    [1e6, '1e+06'],
    [1234567, '1.234567e+06'],
    [Infinity, '+Inf'],
    [NaN, 'NaN'],
  ])('bound %d is %s', (value, text) => {
    expect(printBoundLabel(value)).toBe(text)
  })
})

describe('names', () => {
  it.each([
    [
      'mysystem.prod.west.cpu.load',
      'mysystem_prod_west_cpu_load',
      'mysystem_dot_prod_dot_west_dot_cpu_dot_load',
      'U__mysystem_2e_prod_2e_west_2e_cpu_2e_load',
    ],
    ['a_b', 'a_b', 'a__b', 'a_b'],
    ['a_b.c', 'a_b_c', 'a__b_dot_c', 'U__a__b_2e_c'],
    ['1a', '_a', '__a', 'U___31_a'],
    ['花火', '__', '____', 'U___82b1__706b_'],
    ['a🎆', 'a_', 'a__', 'U__a_1f386_'],
  ])('%s', (name, underscores, dots, values) => {
    expect([
      escapeName(name, 'underscores'),
      escapeName(name, 'dots'),
      escapeName(name, 'values'),
      escapeName(name, 'allow-utf-8'),
    ]).toEqual([underscores, dots, values, name])
    expect(unescapeName(values, 'values')).toBe(name)
  })
  it.each(['U__a_', 'U__a_zz_', 'U__a_1234567_', 'U__a_d800_', 'U__a_2e'])('%s is no escape', (name) => {
    expect(unescapeName(name, 'values')).toBe(name)
  })
})
