// The layout-cached scrape must be indistinguishable from parsing every body afresh, whatever happens from body to body.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compileRelabel } from '../../../src/relabel/relabel.ts'
import { relabelRule } from '../../../src/relabel/rule.ts'
import { BatchBuilder } from '../../../src/scrape/batch.ts'
import { KeyedScrape } from '../../../src/scrape/keyed-scrape.ts'
import { LayoutScrape, LayoutScratch } from '../../../src/scrape/layout-scrape.ts'
import { defaultScrapeOptions } from '../../../src/scrape/options.ts'
import { SampleLabels } from '../../../src/scrape/sample-labels.ts'
import type { ScrapeCounts, SeriesCache } from '../../../src/scrape/series-cache.ts'
import { plainReading } from '../../../protocols/exposition/entries.ts'
import { MemoryAppender } from '../../support/memory-appender.ts'

const relabeling = compileRelabel([relabelRule({ sourceLabels: ['__name__'], regex: 'dropped_.*', action: 'drop' })])
const rules = { honorTimestamps: true, trackTimestampsStaleness: false, sampleLimit: 0, exemplars: true }
const scratch = new LayoutScratch()

class Side {
  readonly appender = new MemoryAppender()
  readonly batch = new BatchBuilder()
  readonly cache: SeriesCache
  constructor(kind: 'layout' | 'keyed', given: Partial<typeof rules> = {}) {
    const labels = new SampleLabels(['instance', 'a:1', 'job', 'j'], defaultScrapeOptions, relabeling, () => {})
    const all = { ...rules, ...given }
    this.cache =
      kind === 'layout'
        ? new LayoutScrape(labels, this.appender, all, scratch)
        : new KeyedScrape(labels, this.appender, { ...all, schemaMax: 8, bucketLimit: 0, reading: plainReading }, null)
  }
  scrape(
    body: string | Uint8Array,
    timeMs: number,
    format: 'text' | 'openmetrics' = 'text',
  ): { counts: ScrapeCounts; error: string; samples: string[] } {
    const counts = { scraped: 0, kept: 0, added: 0, duplicates: 0, outOfBounds: 0 }
    let error = ''
    this.batch.begin(timeMs)
    try {
      this.cache.ingest(typeof body === 'string' ? new TextEncoder().encode(body) : body, format, this.batch, timeMs, counts)
    } catch (thrown) {
      error = (thrown as Error).message
      this.cache.markStale(this.batch)
    }
    void this.appender.append(this.batch.batch())
    this.cache.releaseVanished()
    return { counts, error, samples: this.appender.last() }
  }
}

const labelText = 'instance="a:1", job="j"'

describe('scrape by scrape', () => {
  const layout = new Side('layout')
  let timeMs = 0
  const check = (body: string, samples: string[], counts: Partial<ScrapeCounts> = {}, error: string | RegExp = ''): void => {
    const got = layout.scrape(body, (timeMs += 1000))
    if (typeof error === 'string') expect(got.error).toBe(error)
    else expect(got.error).toMatch(error)
    // the target's own labels are in all of them
    const plain = (line: string): string => line.replace(`{${labelText}}`, '').replace(`${labelText}, `, '').replace(/@\d+$/, '')
    expect(got.samples.map(plain)).toEqual(samples)
    expect(got.counts).toMatchObject(counts)
  }
  it('follows a target', () => {
    check('a 1\nb{x="1"} 2\n', ['a 1', 'b{x="1"} 2'], {
      scraped: 2,
      kept: 2,
      added: 2,
    })
    check('a 3\nb{x="1"} 4\n', ['a 3', 'b{x="1"} 4'], { added: 0 })
    check('b{x="1"} 5\n', ['a stale', 'b{x="1"} 5'], { added: 0 })
    check('a 6\nb{x="1"} 7\n', ['a 6', 'b{x="1"} 7'], { added: 1 })
    check('a x\n', ['a stale', 'b{x="1"} stale'], { scraped: 0 }, /cannot parse "x" as a number.*line 1, offset 2/)
    check('a x\n', [], { scraped: 0 }, /cannot parse/)
    check('b{x="1"} 8\n', ['b{x="1"} 8'], { added: 0 })
    check('', ['b{x="1"} stale'], {})
    check('b{x="1"} 9\ndropped_c 1\n', ['b{x="1"} 9'], { scraped: 2, kept: 1, added: 1 })
    check('b{x="1"} 9\ndropped_c 2\nb{x="1"} 10\n', ['b{x="1"} 9'], { scraped: 3, kept: 2, duplicates: 1 })
    check('b{x="1"} 9\ndropped_c 2\nb{x="1"} 10\n', ['b{x="1"} 9'], { scraped: 3, kept: 2, duplicates: 1 })
    check('dropped_c 2\nb{x="1"} 10\n', ['b{x="1"} 10'], { scraped: 2, kept: 1, duplicates: 0 })
    expect(layout.appender.open_.size).toBe(1)
    layout.cache.release()
    expect(layout.appender.open_.size).toBe(0)
  })
})

it.each(['layout', 'keyed'] as const)('takes times up to ten minutes ahead and counts those beyond: %s', (kind) => {
  const side = new Side(kind)
  const strip = (lines: string[]): string[] => lines.map((line) => line.replace(`{${labelText}}`, ''))
  for (const nowMs of [5_000, 6_000]) {
    const latest = nowMs + 600_000
    const { samples, counts } = side.scrape(`a 1 ${latest}\nb 2 ${latest + 1}\nc 3\nd 4 ${latest + 1}\n`, nowMs)
    expect(strip(samples)).toEqual([`a 1@${latest}`, `c 3@${nowMs}`])
    expect(counts).toMatchObject({ scraped: 4, kept: 4, outOfBounds: 2 })
  }
})

it('takes explicit times, and ends a series that turns to them', () => {
  const side = new Side('layout')
  const strip = (lines: string[]): string[] => lines.map((line) => line.replace(`{${labelText}}`, ''))
  expect(strip(side.scrape('a 1\nb 2 5\n', 1000).samples)).toEqual(['a 1@1000', 'b 2@5'])
  expect(strip(side.scrape('a 1\nb 2 6\n', 2000).samples)).toEqual(['a 1@2000', 'b 2@6'])
  expect(strip(side.scrape('a 1 7\nb 2 7\n', 3000).samples)).toEqual(['a 1@7', 'a stale@3000', 'b 2@7'])
  expect(strip(side.scrape('a 1 7\n', 4000).samples)).toEqual(['a 1@7'])
  expect(side.scrape('a 1 99999999999\n', 5000)).toMatchObject({ samples: [], counts: { outOfBounds: 1, kept: 1 } })
  const tracking = new Side('layout', { trackTimestampsStaleness: true })
  tracking.scrape('b 2 5\n', 1000)
  expect(strip(tracking.scrape('a 1\n', 2000).samples)).toEqual(['a 1@2000', 'b stale@2000'])
  const ignoring = new Side('layout', { honorTimestamps: false })
  expect(strip(ignoring.scrape('b 2 5\n', 1000).samples)).toEqual(['b 2@1000'])
})

it('fails as a whole at the sample limit, and opens nothing more', () => {
  const side = new Side('layout', { sampleLimit: 3 })
  expect(side.scrape('a 1\nb 2\nc 3\n', 1000)).toMatchObject({ error: '', counts: { kept: 3 } })
  const body = 'a 1\nb 2\nc 3\n' + Array.from({ length: 50 }, (_, i) => `d${i} 1\n`).join('')
  expect(side.scrape(body, 2000)).toMatchObject({ error: 'sample limit exceeded', counts: { scraped: 53, kept: 53 } })
  expect(side.appender.last()).toHaveLength(3)
  expect(side.appender.open_.size).toBe(3)
  expect(side.scrape('a 1\nb 2\nc 3\n', 3000)).toMatchObject({ error: '', counts: { added: 0 } })
})

it('normalises bounds by the type line before them, wherever the line stands', () => {
  const side = new Side('layout')
  side.scrape('# TYPE h histogram\nh_bucket{le="1"} 1\n', 1000)
  side.scrape('# TYPE h histogram\nh_bucket{le="1"} 1\nh_bucket{le="5"} 1\n', 2000)
  expect(side.appender.last().map((line) => /le="[^"]*"/.exec(line)?.[0])).toEqual(['le="1.0"', 'le="5.0"'])
})

it('keeps its cache when a target changes between text and OpenMetrics', () => {
  const side = new Side('layout')
  side.scrape('# TYPE a counter\na_total 1\n', 1000)
  const got = side.scrape('# TYPE a counter\na_total 2 # {id="x"} 1\n# EOF\n', 2000, 'openmetrics')
  expect(got).toMatchObject({ error: '', counts: { added: 0 } })
  expect(side.appender.exemplars).toEqual([
    { series: `a_total{${labelText}}`, labels: ['id', 'x'], value: 1, timeMs: 2000, hasTime: false },
  ])
  expect(side.cache.metadata()).toEqual([{ family: 'a', type: 'counter', help: '', unit: '' }])
  expect(side.cache.metadataSize()).toEqual({ entries: 1, bytes: 7 })
})

/** A line by its index: names that are prefixes of each other, blanks, duplicates, dropped ones, times, text. */
const line = fc.oneof(
  fc
    .tuple(
      fc.constantFrom('a', 'ab', 'abc', 'dropped_a', 'x:y'),
      fc.nat(12),
      fc.constantFrom('1', '2.5', '-3e3', 'NaN', '+Inf', '12345678901234567890', '0.1'),
    )
    .map(([name, i, value]) => `${name}{l="${i}"} ${value}`),
  fc.tuple(fc.constantFrom('a', 'ab', 'abc', 'dropped_a'), fc.constantFrom('1', '7', '007')).map(([name, value]) => `${name} ${value}`),
  fc.tuple(fc.constantFrom('t', 'u'), fc.nat(3), fc.nat(50)).map(([name, i, time]) => `${name}{l="${i}"} 1 ${time}`),
  fc.constantFrom(
    '# HELP a help',
    '# TYPE a counter',
    '# a comment',
    '',
    'a+5',
    '{"a b",l="1"} 4',
    '  a  9',
    'a{l="1",} 8',
    'a{l="1"}3',
    'a{l="x\\"y"} 2',
    'é 1',
    'a{} 1',
    'a{l=""} 1',
    'b{l="1" m="2"} 1',
  ),
)
const bodies = fc.array(fc.array(line, { maxLength: 40 }), { minLength: 2, maxLength: 6 })

function compare(all: readonly string[], openMetrics: boolean): void {
  const layout = new Side('layout')
  const keyed = new Side('keyed')
  let timeMs = 1000
  for (const body of all) {
    timeMs += 1000
    const format = openMetrics ? 'openmetrics' : 'text'
    const got = layout.scrape(body, timeMs, format)
    const want = keyed.scrape(body, timeMs, format)
    expect(got.error).toBe(want.error)
    expect(got.samples).toEqual(want.samples)
    expect(got.counts).toEqual(want.counts)
    expect(layout.appender.open_.size).toBe(keyed.appender.open_.size)
  }
  expect(layout.appender.exemplars).toEqual(keyed.appender.exemplars)
}

it('property: any sequence of bodies', () => {
  fc.assert(
    fc.property(bodies, fc.boolean(), (lines, terminatedLast) => {
      compare(
        lines.map((each) => each.join('\n') + (terminatedLast ? '\n' : '')),
        false,
      )
    }),
    { numRuns: 400 },
  )
})

it('property: one body that changes a little each time', () => {
  const edit = fc.record({ at: fc.nat(60), kind: fc.constantFrom('insert', 'remove', 'swap', 'value', 'move'), line, to: fc.nat(60) })
  fc.assert(
    fc.property(fc.array(fc.array(edit, { maxLength: 4 }), { minLength: 2, maxLength: 8 }), (rounds) => {
      let lines = Array.from({ length: 60 }, (_, i) => `m_${i % 7}{a="${i}",b="c"} ${i}`)
      const all: string[] = []
      for (const edits of rounds) {
        lines = lines.map((text) => text.replace(/\d+$/, (value) => String(Number(value) + 1)))
        for (const { at, kind, line: text, to } of edits) {
          if (kind === 'insert') lines.splice(at, 0, text)
          else if (kind === 'remove') lines.splice(at, 1 + (to % 25))
          else if (kind === 'value') lines[at % Math.max(1, lines.length)] = text
          else if (kind === 'move') lines.splice(to, 0, ...lines.splice(at, 20))
          else if (lines.length > 1) {
            const [i, j] = [at % lines.length, to % lines.length]
            ;[lines[i], lines[j]] = [lines[j]!, lines[i]!]
          }
        }
        all.push(lines.join('\n') + '\n')
      }
      compare(all, false)
    }),
    { numRuns: 300 },
  )
})

it('property: OpenMetrics with exemplars', () => {
  const omLine = fc.oneof(
    fc
      .tuple(
        fc.constantFrom('a_total', 'ab', 'abc'),
        fc.nat(6),
        fc.constantFrom('1', '2.5', 'NaN'),
        fc.constantFrom('', ' 1.5', ' 99999999'),
        fc.constantFrom('', ' # {t="1"} 2', ' # {t="2",u="x"} 3 4.5'),
      )
      .map(([name, i, value, time, exemplar]) => `${name}{l="${i}"} ${value}${time}${exemplar}`),
    fc.constantFrom('# TYPE a counter', '# HELP a text', '# UNIT a_seconds seconds', 'ab  1', '# nothing', '{"q",l="1"} 1', '"x" 1'),
  )
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.array(omLine, { maxLength: 12 }), fc.constantFrom('# EOF\n', '# EOF\n', '# EOF', '', '# EOF\n\n')), {
        minLength: 2,
        maxLength: 5,
      }),
      (all) => {
        compare(
          all.map(([lines, last]) => lines.map((text) => `${text}\n`).join('') + last),
          true,
        )
      },
    ),
    { numRuns: 300 },
  )
})
