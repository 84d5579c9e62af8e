// Receiving remote write: CPU per sample from the compressed body to the columns, with an appender that only takes them.
// Small by default; BENCH=1 for steadier figures (100 k series).
import { expect, it } from 'vitest'
import { WriteReceiver } from '../../protocols/remote/write-receiver.ts'
import { MetricsRegistry } from '../../src/base/metrics.ts'
import { silentLogger } from '../../src/base/logger.ts'
import { seededRng } from '../../src/base/rng.ts'
import type { Appender } from '../../src/model/appender.ts'
import { compressed, encodeV1, encodeV2, type WireSeries } from '../support/remote-write.ts'

const large = process.env['BENCH'] === '1'
const seriesCount = large ? 100_000 : 4_000

function labelsOf(i: number): [string, string][] {
  return [
    ['__name__', `http_request_duration_seconds_bucket_${i % 97}`],
    ['code', ['200', '204', '404', '500'][i % 4]!],
    ['handler', `/api/v1/resource_${i % 53}/items`],
    ['instance', `node-${Math.floor(i / 500)}:9100`],
    ['job', 'bench'],
    ['le', String((i % 12) / 4)],
    ['method', i % 2 === 0 ? 'GET' : 'POST'],
    ['series', `s${i}`],
  ]
}

/** Sums up what it takes, so that nothing can be left out. */
class CountingAppender implements Appender {
  handles = 0
  samples = 0
  digest = 0
  open(): number {
    return this.handles++
  }
  openBytes(): number {
    return this.handles++
  }
  release(): void {}
  append(batch: Parameters<Appender['append']>[0]): ReturnType<Appender['append']> {
    let digest = 0
    for (let i = 0; i < batch.length; i++) digest += batch.values[i]! + (batch.handles[i]! % 7)
    this.samples += batch.length
    this.digest += digest
    const appended = batch.length
    return Promise.resolve({
      appended,
      outOfOrder: 0,
      duplicate: 0,
      outOfBounds: 0,
      tooOld: 0,
      exemplarsOutOfOrder: 0,
      pending: false,
      firstError: '',
    })
  }
}

const shapes = [
  { name: 'version 1, 2000 series × 1 sample', perRequest: 2000, samples: 1, encode: encodeV1, message: 'prometheus.WriteRequest' },
  { name: 'version 1, 250 series × 20 samples', perRequest: 250, samples: 20, encode: encodeV1, message: 'prometheus.WriteRequest' },
  { name: 'version 2, 2000 series × 1 sample', perRequest: 2000, samples: 1, encode: encodeV2, message: 'io.prometheus.write.v2.Request' },
] as const

for (const shape of shapes) {
  it(`remote write, ${shape.name}: every sample arrives, within the time allowed`, async () => {
    const appender = new CountingAppender()
    const receiver = new WriteReceiver({
      appender,
      nowMs: () => 1.8e12,
      logger: silentLogger,
      metrics: new MetricsRegistry(),
      accepted: ['prometheus.WriteRequest', 'io.prometheus.write.v2.Request'],
      typeAndUnitLabels: false,
      startTimestampZeros: false,
      seed: 1,
    })
    const rng = seededRng(7)
    const rounds = large ? 4 : 3
    const bodies: Uint8Array[][] = []
    let expected = 0
    for (let round = 0; round < rounds; round++) {
      const requests: Uint8Array[] = []
      for (let from = 0; from < seriesCount; from += shape.perRequest) {
        const series: WireSeries[] = []
        for (let i = from; i < Math.min(seriesCount, from + shape.perRequest); i++) {
          const samples = Array.from(
            { length: shape.samples },
            (_, k) => [rng.next() * 1e6, 1.7e12 + (round * shape.samples + k) * 15_000] as const,
          )
          expected += samples.length
          series.push({ labels: labelsOf(i), samples })
        }
        requests.push(compressed(shape.encode(series)))
      }
      bodies.push(requests)
    }
    const micros: number[] = []
    for (const requests of bodies) {
      const before = process.cpuUsage()
      for (const body of requests) {
        // a sender waits for each answer
        const outcome = await receiver.receive(shape.message, body)
        if (outcome.status !== 204) throw new Error(outcome.message)
      }
      const used = process.cpuUsage(before)
      micros.push((used.user + used.system) / (seriesCount * shape.samples))
    }
    expect(appender.samples).toBe(expected)
    expect(appender.handles).toBe(seriesCount)
    const steady = Math.min(...micros.slice(1))
    if (large)
      console.log(`${shape.name}: first round ${(micros[0]! * 1000).toFixed(0)} ns/sample, then ${(steady * 1000).toFixed(0)} ns/sample`)
    expect(steady).toBeLessThan(10) // µs; far above the figure, so that a busy machine does not fail it
    receiver.close()
  })
}
