// Arbitrary runs of float samples, in columns.
import fc from 'fast-check'
import type { Head, Outcome } from '../../../src/tsdb/head/head.ts'
import { staleHigh, staleLow } from '../../../src/model/staleness.ts'

/** Every kind of float by its bits: ordinary, NaN payloads, infinities, −0, denormals, the staleness marker. */
const doubleBits: fc.Arbitrary<[number, number]> = fc.oneof(
  fc.tuple(fc.nat(0xffffffff), fc.nat(0xffffffff)),
  fc.double().map((v): [number, number] => halves(v)),
  fc.integer({ min: -1000, max: 1000 }).map((v): [number, number] => halves(v)),
  fc.constantFrom<[number, number]>(
    [staleHigh, staleLow],
    [0x7ff80000, 1],
    [0x7ff00000, 0],
    [0xfff00000, 0],
    [0x80000000, 0],
    [0, 1],
    [0, 0],
  ),
)
export function halves(value: number): [number, number] {
  const words = new Uint32Array(Float64Array.of(value).buffer)
  return [words[1]!, words[0]!]
}
/** Appends one float by its bits. */
export function appendFloat(
  head: Head,
  series: number,
  time: number,
  [high, low]: readonly [number, number],
  minValidMs = -Infinity,
): Outcome {
  return head.append(series, Float64Array.of(time), Uint32Array.of(low, high), 0, time >= minValidMs)
}
const timeSteps = fc.oneof(
  fc.constant(15_000),
  fc.integer({ min: 1, max: 5 }),
  fc.integer({ min: 14_000, max: 16_000 }),
  fc.integer({ min: 1, max: 2 ** 40 }),
)
export const samplesArbitrary = fc.tuple(
  fc.integer({ min: -(2 ** 50), max: 2 ** 50 }),
  fc.array(fc.tuple(timeSteps, doubleBits, fc.boolean()), { maxLength: 150 }),
)

export function columnsOf([start, steps]: [number, [number, [number, number], boolean][]]): { times: Float64Array; bits: Uint32Array } {
  const times = new Float64Array(steps.length)
  const bits = new Uint32Array(steps.length * 2)
  let time = start
  steps.forEach(([step, [high, low], repeat], i) => {
    time = Math.min(time + step, 2 ** 51 - 200 + i)
    times[i] = time
    bits[i * 2] = repeat && i > 0 ? bits[i * 2 - 2]! : low
    bits[i * 2 + 1] = repeat && i > 0 ? bits[i * 2 - 1]! : high
  })
  // the quiet form of the marker is written as the marker
  for (let i = 0; i < steps.length; i++) if (bits[i * 2] === staleLow && bits[i * 2 + 1] === 0x7ff80000) bits[i * 2 + 1] = staleHigh
  return { times, bits }
}
