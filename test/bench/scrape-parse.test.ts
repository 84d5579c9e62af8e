// What one line of a scrape costs, from body to columns: steady layout, first scrape, churn. BENCH=1 makes it large.
import { expect, it } from 'vitest'
import type { Appender } from '../../src/model/appender.ts'
import { BatchBuilder } from '../../src/scrape/batch.ts'
import { LayoutScrape, LayoutScratch } from '../../src/scrape/layout-scrape.ts'
import { defaultScrapeOptions } from '../../src/scrape/options.ts'
import { SampleLabels } from '../../src/scrape/sample-labels.ts'
import { compileRelabel } from '../../src/relabel/relabel.ts'
import { appended } from '../support/memory-appender.ts'
import { Page } from '../support/pages.ts'

const large = process.env['BENCH'] === '1'
let handle = 0
const sink: Appender = {
  open: () => handle++,
  openBytes: () => handle++,
  release: () => {},
  append: () => Promise.resolve(appended),
}
const counts = { scraped: 0, kept: 0, added: 0, duplicates: 0, outOfBounds: 0 }

function bench(name: string, lines: number, rounds: number, run: (round: number) => void): number {
  for (let i = 0; i < Math.min(rounds, 30); i++) run(i)
  const start = performance.now()
  for (let i = 0; i < rounds; i++) run(i)
  const nsPerLine = ((performance.now() - start) * 1e6) / (rounds * lines)
  console.log(`${name}: ${nsPerLine.toFixed(0)} ns/line`)
  return nsPerLine
}

it('scrape parse', () => {
  const page = new Page(large ? 20_000 : 1_000, 1)
  const bodies = Array.from({ length: 8 }, () => page.step())
  const batch = new BatchBuilder()
  const labels = new SampleLabels(['instance', 'localhost:9100', 'job', 'node'], defaultScrapeOptions, compileRelabel([]), () => {})
  const scratch = new LayoutScratch()
  const rules = { honorTimestamps: true, trackTimestampsStaleness: false, sampleLimit: 0, exemplars: false }
  const make = (): LayoutScrape => new LayoutScrape(labels, sink, rules, scratch)
  const target = make()
  const ingest = (into: LayoutScrape, body: Uint8Array): void => {
    batch.begin(0)
    into.ingest(body, 'text', batch, 0, counts)
  }
  const rounds = large ? 100 : 50
  bench('steady', page.lines, rounds, (i) => ingest(target, bodies[i % 8]!))
  expect(counts.scraped).toBe(page.samples)
  expect(counts.added).toBe(0)
  console.log(
    `layout: ${(target.bytes / page.samples).toFixed(0)} bytes/series, body ${(bodies[0]!.length / page.samples).toFixed(0)} bytes/series`,
  )
  bench('first scrape', page.lines, Math.ceil(rounds / 5), () => ingest(make(), bodies[0]!))
  const timed = bodies.map((body, round) =>
    new TextEncoder().encode(new TextDecoder().decode(body).replace(/^([^#].*)$/gm, `$1 ${1_700_000_000_000 + round}`)),
  )
  const own = make()
  bench('with times of their own', page.lines, rounds, (i) => {
    batch.begin(0)
    own.ingest(timed[i % 8]!, 'text', batch, 2e12, counts)
  })
  expect(counts).toMatchObject({ scraped: page.samples, added: 0 })
  // one line in a hundred is another one each time
  const other = bodies.map((body, round) => {
    let line = 0
    const text = new TextDecoder()
      .decode(body)
      .replace(/\{namespace/g, (found) => (line++ % 100 === round ? `{churn="${round}",namespace` : found))
    return new TextEncoder().encode(text)
  })
  bench('1 % churn', page.lines, rounds, (i) => ingest(target, other[i % 8]!))
})
