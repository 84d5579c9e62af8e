import { describe, expect, it } from 'vitest'
import { maxTimeMs, minTimeMs } from '../../../src/api/backend.ts'
import { unescapeName } from '../../../protocols/exposition/names.ts'
import { globalUrl } from '../../../src/api/global-url.ts'
import { booleanOf, durationOf, Form, integerOf, parseTime } from '../../../src/api/parameters.ts'
import { timeText } from '../../../src/api/time-text.ts'

describe('times', () => {
  const rows: readonly (readonly [string, number | null])[] = [
    ['', null],
    ['abc', null],
    ['30s', null],
    ['NaN', null],
    ['123', 123_000],
    ['123.123', 123_123],
    ['1435781451.781', 1_435_781_451_781],
    ['-1.5', -1_500],
    ['1e9', 1_000_000_000_000],
    ['2015-06-03T13:21:58.555Z', 1_433_337_718_555],
    ['2015-06-03T14:21:58.555+01:00', 1_433_337_718_555],
    ['2015-06-03T13:21:58Z', 1_433_337_718_000],
    ['2015-06-03T13:21:58.5551234Z', 1_433_337_718_555],
    ['2015-02-29T00:00:00Z', null],
    ['2016-02-29T00:00:00Z', 1_456_704_000_000],
    ['2015-13-01T00:00:00Z', null],
    ['2015-06-03 13:21:58Z', null],
    ['2015-06-03T13:21:58', null],
    ['0001-01-01T00:00:00Z', -62_135_596_800_000],
    ['-292273086-05-16T16:47:06Z', minTimeMs],
    ['292277025-08-18T07:12:54.999999999Z', maxTimeMs],
    ['1e300', maxTimeMs],
    ['-1e300', minTimeMs],
  ]
  for (const [text, ms] of rows) it(`${JSON.stringify(text)} is ${ms}`, () => expect(parseTime(text)).toBe(ms))

  it('are written as Go writes them', () => {
    expect(timeText(0)).toBe('0001-01-01T00:00:00Z')
    expect(timeText(1_767_361_020_500)).toBe('2026-01-02T13:37:00.5Z')
    for (const ms of [1, 999, 1_456_704_000_000, 1_767_361_020_123, 4_102_444_800_000, -1, -62_135_596_799_000]) {
      expect(timeText(ms)).toBe(new Date(ms).toISOString().replace(/\.?0*Z$/, 'Z'))
      expect(parseTime(timeText(ms))).toBe(ms)
    }
  })
})

describe('durations', () => {
  const rows: readonly (readonly [string, number | RegExp])[] = [
    ['123', 123_000],
    ['0.333', 333],
    ['5m', 300_000],
    ['1h30m', 5_400_000],
    ['-1', -1_000],
    ['', /cannot parse "" to a valid duration/],
    ['abc', /cannot parse "abc" to a valid duration/],
    ['2015-06-03T13:21:58.555Z', /to a valid duration$/],
    ['-148966367200.372', /It overflows int64/],
    ['148966367200.372', /It overflows int64/],
    ['NaN', /cannot parse "NaN"/],
  ]
  for (const [text, expected] of rows) {
    it(`${JSON.stringify(text)}`, () => {
      if (typeof expected === 'number') expect(durationOf(text)).toBeCloseTo(expected, 6)
      else expect(() => durationOf(text)).toThrow(expected)
    })
  }
})

describe('forms', () => {
  const rows: readonly (readonly [string, Record<string, string[]>, string | null])[] = [
    ['a=1&b=2&a=3', { a: ['1', '3'], b: ['2'] }, null],
    ['match%5B%5D=up%7Bjob%3D%22a+b%22%7D', { 'match[]': ['up{job="a b"}'] }, null],
    ['a&=x&b=', { a: [''], '': ['x'], b: [''] }, null],
    ['a=%zz&b=1', { b: ['1'] }, 'invalid URL escape "%zz"'],
    ['a=%4&b=1', { b: ['1'] }, 'invalid URL escape "%4"'],
    ['a=1;b=2&c=3', { c: ['3'] }, 'invalid semicolon separator in query'],
    ['a=%ff', { a: ['\ufffd'] }, null],
    ['__proto__=1', { ['__proto__']: ['1'] }, null],
  ]
  for (const [text, values, problem] of rows) {
    it(text, () => {
      const form = new Form()
      form.add(text)
      for (const [name, list] of Object.entries(values)) expect(form.all(name)).toEqual(list)
      expect(form.problem).toBe(problem)
      if (problem === null) form.demand()
      else expect(() => form.demand()).toThrow(`error parsing form values: ${problem}`)
    })
  }
  it('takes the body before the URL, and not too much of either', () => {
    const form = new Form()
    form.add('a=body')
    form.add('a=url')
    expect(form.first('a')).toBe('body')
    expect(form.first('b')).toBe('')
    form.add(Array.from({ length: 20_000 }, (_, i) => `k${i}=1`).join('&'))
    expect(form.problem).toMatch(/more than 10000/)
  })
})

it('whole numbers as strconv.Atoi reads them', () => {
  expect(integerOf('10')).toBe(10)
  expect(integerOf('-3')).toBe(-3)
  expect(() => integerOf('1.5')).toThrow('strconv.Atoi: parsing "1.5": invalid syntax')
  expect(() => integerOf('')).toThrow('invalid syntax')
  expect(() => integerOf('9223372036854775808')).toThrow('value out of range')
})

it('booleans as strconv.ParseBool reads them', () => {
  for (const text of ['1', 't', 'T', 'TRUE', 'true', 'True']) expect(booleanOf(text)).toBe(true)
  for (const text of ['0', 'f', 'F', 'FALSE', 'false', 'False']) expect(booleanOf(text)).toBe(false)
  for (const text of ['', 'yes', 'tRUE', '2']) expect(booleanOf(text)).toBeNull()
})

describe('escaped names', () => {
  const rows: readonly (readonly [string, string])[] = [
    ['plain', 'plain'],
    ['U__http_2e_status', 'http.status'],
    ['U__a__b', 'a_b'],
    ['U___1f600_', '😀'],
    ['U__no_end', 'U__no_end'],
    ['U__bad_zz_', 'U__bad_zz_'],
    ['U__surrogate_d83d_', 'U__surrogate_d83d_'],
    ['U__trailing_', 'U__trailing_'],
    ['U__', ''],
  ]
  for (const [escaped, name] of rows) it(escaped, () => expect(unescapeName(escaped, 'values')).toBe(name))
})

describe('global URLs', () => {
  const external = 'https://prom.example:443/prometheus'
  const rows: readonly (readonly [target: string, own: string, expected: string])[] = [
    ['http://127.0.0.1:9090/prometheus/metrics', '127.0.0.1:9090', 'https://prom.example:443/prometheus/metrics'],
    ['http://localhost:8000/metrics?x=1', '0.0.0.0:9090', 'http://prom.example:8000/metrics?x=1'],
    ['http://[::1]:8000/metrics', '0.0.0.0:9090', 'http://prom.example:8000/metrics'],
    ['http://localhost/metrics', '0.0.0.0:9090', 'http://prom.example/metrics'],
    ['http://exporter:9090/metrics', '0.0.0.0:9090', 'http://exporter:9090/metrics'],
    ['http://[2001:db8::1]:9090/metrics', '0.0.0.0:9090', 'http://[2001:db8::1]:9090/metrics'],
    ['nonsense', '0.0.0.0:9090', 'nonsense'],
  ]
  for (const [target, own, expected] of rows) it(target, () => expect(globalUrl(target, own, external)).toBe(expected))
  it('keeps the brackets of an external IPv6 address', () => {
    expect(globalUrl('http://localhost:8000/', ':9090', 'http://[2001:db8::1]:9090')).toBe('http://[2001:db8::1]:8000/')
  })
})
