import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseDuration, parseSignedDuration, printDuration } from '../../../src/model/duration.ts'
import { formatFloatE, formatFloatF, formatFloatG, formatSampleValue, goFloatProblem, parseGoFloat, parseGoInteger } from '../../../src/model/number-text.ts' // prettier-ignore

describe('numbers as Go prints them', () => {
  const rows: [value: number, f: string, e: string, g: string, sample: string][] = [
    [0, '0', '0e+00', '0', '0'],
    [-0, '-0', '-0e+00', '-0', '-0'],
    [1, '1', '1e+00', '1', '1'],
    [-1.5, '-1.5', '-1.5e+00', '-1.5', '-1.5'],
    [100000, '100000', '1e+05', '100000', '100000'],
    [1e6, '1000000', '1e+06', '1e+06', '1000000'],
    [123456789, '123456789', '1.23456789e+08', '1.23456789e+08', '123456789'],
    [123456.789, '123456.789', '1.23456789e+05', '123456.789', '123456.789'],
    [1e20, '100000000000000000000', '1e+20', '1e+20', '100000000000000000000'],
    [1e21, '1000000000000000000000', '1e+21', '1e+21', '1e+21'],
    [1.25e22, '12500000000000000000000', '1.25e+22', '1.25e+22', '1.25e+22'],
    [0.0001, '0.0001', '1e-04', '0.0001', '0.0001'],
    [0.00001, '0.00001', '1e-05', '1e-05', '0.00001'],
    [0.000001, '0.000001', '1e-06', '1e-06', '0.000001'],
    [1.5e-7, '0.00000015', '1.5e-07', '1.5e-07', '1.5e-07'],
    [5e-324, `0.${'0'.repeat(323)}5`, '5e-324', '5e-324', '5e-324'],
    [NaN, 'NaN', 'NaN', 'NaN', 'NaN'],
    [Infinity, '+Inf', '+Inf', '+Inf', '+Inf'],
    [-Infinity, '-Inf', '-Inf', '-Inf', '-Inf'],
  ]
  it.each(rows)('%d', (value, f, e, g, sample) => {
    expect([formatFloatF(value), formatFloatE(value), formatFloatG(value), formatSampleValue(value)]).toEqual([f, e, g, sample])
  })
  it('reads back what it prints', () => {
    fc.assert(
      fc.property(fc.double(), (value) => {
        for (const print of [formatFloatE, formatFloatF, formatFloatG, formatSampleValue]) expect(parseGoFloat(print(value))).toBe(value)
      }),
    )
  })
})

describe('numbers as Go reads them', () => {
  const rows: [text: string, value: number | null][] = [
    ['1_000', 1000], ['0x1p4', 16], ['0x1_0p4', 256], ['1e_5', null], ['0x10', null], ['_1', null], ['1__0', null], ['1_', null],
    ['Inf', Infinity], ['+infinity', Infinity], ['-INF', -Infinity], ['nan', NaN], ['-nan', null], ['0b1', null], ['1e400', null],
    ['0x1p2000', null], ['1e', null], ['1e-400', 0], ['.5', 0.5], ['5.', 5], ['.', null], ['', null], ['0x.8p1', 1], ['1_0.5', 10.5],
    ['0x1.8p1', 3], ['infi', null], [' 1', null], ['0_1', 1], ['1_e5', null], ['0x_1p0', 1], ['1e1_0', 1e10], ['0x1p-1074', 5e-324],
    ['+5', 5], ['--5', null], ['0x1P-2', 0.25], ['0xp1', null], ['1.2.3', null],
  ] // prettier-ignore
  it.each(rows)('float %j', (text, value) => {
    expect(parseGoFloat(text)).toBe(value)
    expect(goFloatProblem(text) === null).toBe(value !== null)
  })
  it('says what is wrong', () => {
    expect(goFloatProblem('1e400')).toBe('strconv.ParseFloat: parsing "1e400": value out of range')
    expect(goFloatProblem('x')).toBe('strconv.ParseFloat: parsing "x": invalid syntax')
  })
  const integers: [text: string, value: number | null][] = [
    ['1_000', 1000], ['0x10', 16], ['0x1_0', 16], ['0X_1F', 31], ['010', 8], ['0o17', 15], ['0b11', 3], ['1__0', null], ['08', null],
    ['9223372036854775807', 2 ** 63], ['9223372036854775808', null], ['_1', null], ['0_7', 7], ['0x', null], ['1_', null], ['0', 0],
    ['-8', -8], ['-0x10', -16], ['1.5', null], ['', null], ['a', null], ['0b2', null],
  ] // prettier-ignore
  it.each(integers)('integer %j', (text, value) => expect(parseGoInteger(text)).toBe(value))
})

describe('durations', () => {
  const rows: [text: string, ms: number | string, printed?: string][] = [
    ['0', 0, '0s'], ['0s', 0, '0s'], ['5m', 300_000], ['1h30m', 5_400_000], ['1y2w3d4h5m6s7ms', 33_019_506_007, '382d4h5m6s7ms'],
    ['90m', 5_400_000, '1h30m'], ['14d', 1_209_600_000, '2w'], ['15d', 1_296_000_000], ['365d', 31_536_000_000, '1y'], ['100ms', 100],
    ['1500ms', 1500, '1s500ms'], ['0005m', 300_000, '5m'], ['292y', 9_208_512_000_000],
    ['', 'empty duration string'],
    ['1', 'not a valid duration string: "1"'],
    ['-1m', 'not a valid duration string: "-1m"'],
    ['1m1h', 'not a valid duration string: "1m1h"'],
    ['1m1m', 'not a valid duration string: "1m1m"'],
    ['1.5m', 'unknown unit "." in duration "1.5m"'],
    ['1hs', 'unknown unit "hs" in duration "1hs"'],
    ['5 m', 'unknown unit " m" in duration "5 m"'],
    ['m', 'not a valid duration string: "m"'],
    ['293y', 'duration out of range'],
    ['9223372036855ms', 'duration out of range'],
    ['99999999999999999999y', 'not a valid duration string: "99999999999999999999y"'],
  ] // prettier-ignore
  it.each(rows)('%j', (text, want, printed = text) => {
    const { ms, problem } = parseDuration(text)
    if (typeof want === 'string') expect([ms, problem]).toEqual([0, want])
    else expect([ms, problem, printDuration(ms)]).toEqual([want, null, printed])
  })
  it('signs', () => {
    expect(parseSignedDuration('-1h')).toEqual({ ms: -3_600_000, problem: null })
    expect(printDuration(-90_000)).toBe('-1m30s')
    expect(printDuration(0.9)).toBe('0s')
  })
  it('prints what it reads back', () => {
    fc.assert(fc.property(fc.integer({ min: 0, max: 2 ** 52 / 512 }), (ms) => parseDuration(printDuration(ms)).ms === ms))
  })
})
