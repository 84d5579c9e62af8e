import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { JsonBytes, jsonPageBytesMin, sampleBytesMax, writeSample } from '../../../src/model/json-bytes.ts'
import { formatSampleValue } from '../../../src/model/number-text.ts'

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)
const smallPages = (): Uint8Array => new Uint8Array(jsonPageBytesMin).fill(120)

function sampleText(value: number): string {
  const bytes = new Uint8Array(sampleBytesMax)
  return text(bytes.subarray(0, writeSample(bytes, 0, value)))
}

describe('sample values', () => {
  it.each([
    [0, '0'],
    [-0, '-0'],
    [1, '1'],
    [-17, '-17'],
    [0.5, '0.5'],
    [-0.25, '-0.25'],
    [0.1, '0.1'],
    [0.000001, '0.000001'],
    [0.0000011, '0.0000011'],
    [9.5e-7, '9.5e-07'],
    [123456.789, '123456.789'],
    [999999999.999999, '999999999.999999'],
    [1000000000.5, '1000000000.5'],
    [0.30000000000000004, '0.30000000000000004'],
    [999999999999999, '999999999999999'],
    [1e15, '1000000000000000'],
    [9007199254740992, '9007199254740992'],
    [1e21, '1e+21'],
    [-1.5e300, '-1.5e+300'],
    [5e-324, '5e-324'],
    [1.7976931348623157e308, '1.7976931348623157e+308'],
    [-2.2250738585072014e-308, '-2.2250738585072014e-308'],
    [NaN, 'NaN'],
    [Infinity, '+Inf'],
    [-Infinity, '-Inf'],
  ])('%s is written as %s', (value, written) => {
    expect(sampleText(value)).toBe(`"${written}"`)
    expect(formatSampleValue(value)).toBe(written)
  })
  it('are what the shortest digits are', () => {
    const decimals = fc
      .tuple(fc.integer({ min: -(10 ** 9), max: 10 ** 9 }), fc.integer({ min: 0, max: 9 }))
      .map(([digits, places]) => digits / 10 ** places)
    const nearly = decimals.map((value) => value * (1 + Number.EPSILON))
    fc.assert(
      fc.property(fc.oneof(decimals, nearly, fc.double(), fc.integer()), (value) => {
        expect(sampleText(value)).toBe(`"${formatSampleValue(value)}"`)
      }),
      { numRuns: 3000 },
    )
  })
})

describe('pages', () => {
  it('text is that of JSON.stringify but for two escapes, whatever page it falls on', () => {
    const string = fc.oneof(
      fc.string(),
      fc.string({ unit: 'binary', maxLength: 3000 }),
      fc.constantFrom('"', '\\', '\\b', '\\\b', '\u0008\f', '\ud800', 'ü'.repeat(700), '\u{1f600}'.repeat(600), 'x'.repeat(9000)),
    )
    fc.assert(
      fc.property(fc.array(string, { maxLength: 30 }), (list) => {
        const out = new JsonBytes(smallPages)
        out.strings(list)
        const asGo = (escape: string): string => ({ '\\b': '\\u0008', '\\f': '\\u000c' })[escape] ?? escape
        const expected = JSON.stringify(list).replace(/\\./g, asGo)
        expect(JSON.parse(text(out.copy()))).toEqual(list)
        expect(text(out.copy())).toBe(expected)
        expect(out.length).toBe(out.copy().length)
        expect(out.parts().every((part) => part.length > 0 && part.length <= jsonPageBytesMin)).toBe(true)
      }),
    )
  })
  it('a last byte can be taken back also at the start of a page', () => {
    const out = new JsonBytes(smallPages)
    for (let i = 0; i < jsonPageBytesMin + 1; i++) out.byte(97)
    out.unwriteByte()
    out.raw(Uint8Array.of(98, 99, 100), 1, 3)
    expect(text(out.copy())).toBe('a'.repeat(jsonPageBytesMin) + 'cd')
  })
  it.each([
    [1_435_781_430_781, '1435781430.781'],
    [-50, '-0.050'],
    [5000, '5'],
    [1_007, '1.007'],
  ])('%i ms are %s', (timeMs, written) => {
    const out = new JsonBytes(smallPages)
    out.timestamp(timeMs)
    expect(text(out.copy())).toBe(written)
  })
})
