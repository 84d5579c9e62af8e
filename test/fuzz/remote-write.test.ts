// Damaged and invented remote-write bodies: every one must end in an answer, never in an exception, a hang or a sample of another series.
import { expect, it } from 'vitest'
import { decodeReadRequest } from '../../protocols/remote/read.ts'
import { encodeSnappy } from '../../protocols/remote/snappy.ts'
import { WriteReceiver } from '../../protocols/remote/write-receiver.ts'
import { silentLogger } from '../../src/base/logger.ts'
import { MetricsRegistry } from '../../src/base/metrics.ts'
import { PromhiveError } from '../../src/base/errors.ts'
import { seededRng } from '../../src/base/rng.ts'
import { encodeV1, encodeV2, RecordingAppender, type WireSeries } from '../support/remote-write.ts'

const seed = Number(process.env['SEED'] ?? 42)
const rounds = process.env['BENCH'] === '1' ? 200_000 : 6_000

function series(rng: ReturnType<typeof seededRng>): WireSeries {
  const labels: [string, string][] = [['__name__', `m${rng.below(20)}`]]
  for (let i = rng.below(4); i > 0; i--) labels.push([`l${i}`, 'v'.repeat(rng.below(40))])
  return {
    labels: labels.sort(([a], [b]) => (a < b ? -1 : 1)),
    samples: Array.from({ length: rng.below(4) }, (_, i) => [rng.next(), 1_000_000 + i] as const),
    ...(rng.chance(0.3) && { exemplars: [{ labels: [['t', 'x']], value: 1, timeMs: 5 }] }),
    ...(rng.chance(0.3) && {
      histograms: [
        { countInt: 3, sum: 1, positiveSpans: [[0, 2]], positiveDeltas: [1, 1], negativeSpans: [], customValues: [], timeMs: 7 },
      ],
    }),
    ...(rng.chance(0.3) && { metadata: { type: rng.below(9), help: 'h', unit: 'u' } }),
  }
}

function damage(bytes: Uint8Array, rng: ReturnType<typeof seededRng>): Uint8Array {
  const out = bytes.slice()
  for (let i = 1 + rng.below(4); i > 0; i--) {
    const at = rng.below(Math.max(1, out.length))
    const how = rng.below(4)
    if (how === 0) out[at] = rng.below(256)
    else if (how === 1) out[at]! ^= 1 << rng.below(8)
    else if (how === 2) out.copyWithin(at, rng.below(Math.max(1, out.length)))
    else return out.slice(0, at)
  }
  return out
}

for (const [message, encode] of [
  ['prometheus.WriteRequest', encodeV1],
  ['io.prometheus.write.v2.Request', encodeV2],
] as const) {
  it(`${message}: whatever the bytes, the answer is 204 or 400 (seed ${seed})`, async () => {
    const rng = seededRng(seed)
    const appender = new RecordingAppender()
    const receiver = new WriteReceiver({
      appender,
      nowMs: () => 1_000_000_000,
      logger: silentLogger,
      metrics: new MetricsRegistry(),
      accepted: ['prometheus.WriteRequest', 'io.prometheus.write.v2.Request'],
      typeAndUnitLabels: rng.chance(0.5),
      startTimestampZeros: true,
      seed,
      cacheEntriesMax: 200,
    })
    const statuses = new Map<number, number>()
    for (let round = 0; round < rounds; round++) {
      const good = encode(Array.from({ length: 1 + rng.below(4) }, () => series(rng)))
      const how = rng.below(4)
      const body = how === 0 ? encodeSnappy(good) : how === 1 ? damage(encodeSnappy(good), rng) : encodeSnappy(damage(good, rng))
      const outcome = await receiver.receive(message, body)
      statuses.set(outcome.status, (statuses.get(outcome.status) ?? 0) + 1)
      if (outcome.status !== 204) {
        expect(outcome.status, `round ${round}: ${outcome.message}`).toBe(400)
        expect(outcome.message).not.toMatch(/BUG|undefined|Cannot read|is not a function|RangeError/)
      }
      // samples under handles that were never opened, or opened and given back, would show here
      appender.samples.length = 0
      appender.batches.length = 0
    }
    expect(statuses.get(204)).toBeGreaterThan(rounds / 10)
    expect(statuses.get(400)).toBeGreaterThan(rounds / 10)
  })
}

it(`remote read: whatever the bytes, a request or a PromhiveError (seed ${seed})`, () => {
  const rng = seededRng(seed)
  for (let round = 0; round < rounds; round++) {
    const bytes = new Uint8Array(rng.below(60))
    for (let i = 0; i < bytes.length; i++) bytes[i] = rng.chance(0.5) ? [0x0a, 0x12, 0x1a, 0x08, 0x10, 2, 4][rng.below(7)]! : rng.below(256)
    try {
      decodeReadRequest(encodeSnappy(bytes))
    } catch (thrown) {
      expect(thrown).toBeInstanceOf(PromhiveError)
    }
  }
})
