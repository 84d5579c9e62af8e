import { describe, expect, it } from 'vitest'
import { compileRelabel } from '../../../src/relabel/relabel.ts'
import { relabelRule, type RelabelRule } from '../../../src/relabel/rule.ts'
import { labelsFromObject, labelsToObject } from '../../../src/model/labels.ts'
import { defaultScrapeOptions, type ScrapeOptions } from '../../../src/scrape/options.ts'
import { SampleLabels } from '../../../src/scrape/sample-labels.ts'
import { fnv1a64, offsetSeed, populateTarget, slotOffset } from '../../../src/scrape/target.ts'

function populate(
  own: Record<string, string>,
  parts: Partial<ScrapeOptions> = {},
  rules: Partial<RelabelRule>[] = [],
  group: Record<string, string> = {},
) {
  const options = { ...defaultScrapeOptions, jobName: 'j', ...parts }
  return populateTarget(options, compileRelabel(rules.map(relabelRule)), labelsFromObject(own), labelsFromObject(group))
}

describe('targets', () => {
  it('have defaults, an instance, a URL, and no meta labels', () => {
    const populated = populate({ __address__: 'h:1', __meta_x: 'y' }, { params: { b: ['2', '3'], a: ['x y&'] } }, [], {
      env: 'prod',
      __address__: 'other',
    })
    if (!('target' in populated)) throw new Error('no target')
    const { target } = populated
    expect(labelsToObject(target.labels)).toEqual({ env: 'prod', instance: 'h:1', job: 'j' })
    expect(labelsToObject(target.discovered)).toEqual({
      __address__: 'h:1',
      __meta_x: 'y',
      __scheme__: 'http',
      __metrics_path__: '/metrics',
      __scrape_interval__: '1m',
      __scrape_timeout__: '10s',
      __param_a: 'x y&',
      __param_b: '2',
      __convert_classic_histograms_to_nhcb__: 'false',
      __always_scrape_classic_histograms__: 'false',
      __scrape_native_histograms__: 'false',
      env: 'prod',
      job: 'j',
    })
    expect(target.url).toBe('http://h:1/metrics?a=x+y%26&b=2&b=3')
    expect(target).toMatchObject({ intervalMs: 60_000, timeoutMs: 10_000, unixSocket: '' })
  })
  it('obey magic labels', () => {
    const populated = populate(
      {
        __address__: 'h',
        __scheme__: 'https',
        __metrics_path__: 'a b/ü?x',
        __scrape_interval__: '30s',
        __scrape_timeout__: '500ms',
        __param_q: '1',
        __unix_socket__: '/s',
        __scrape_native_histograms__: 'T',
        instance: 'i',
        job: 'k',
      },
      { params: { q: ['0', '9'] } },
    )
    expect(populated).toMatchObject({
      target: {
        url: 'https://h/a%20b/%C3%BC%3Fx?q=1&q=9',
        intervalMs: 30_000,
        timeoutMs: 500,
        unixSocket: '/s',
        scrapeNativeHistograms: true,
        labels: ['instance', 'i', 'job', 'k'],
      },
    })
  })
  it.each<[string, Record<string, string>, string]>([
    ['no address', {}, 'no address'],
    ['slash', { __address__: 'http://h' }, '"http://h" is not a valid hostname'],
    ['interval', { __address__: 'h', __scrape_interval__: 'x' }, 'error parsing scrape interval: not a valid duration string: "x"'],
    ['interval 0', { __address__: 'h', __scrape_interval__: '0s' }, 'scrape interval cannot be 0'],
    ['timeout', { __address__: 'h', __scrape_timeout__: '1' }, 'error parsing scrape timeout: not a valid duration string: "1"'],
    ['timeout 0', { __address__: 'h', __scrape_timeout__: '0' }, 'scrape timeout cannot be 0'],
    ['too long', { __address__: 'h', __scrape_timeout__: '2m' }, 'scrape timeout cannot be greater than scrape interval ("2m" > "1m")'],
    [
      'no boolean',
      { __address__: 'h', __always_scrape_classic_histograms__: 'yes' },
      'error parsing always scrape classic histograms: strconv.ParseBool: parsing "yes": invalid syntax',
    ],
    ['no text', { __address__: 'h', x: '\ud800' }, 'invalid label value for "x": "\\ufffd"'],
  ])('wrong: %s', (_, own, problem) => {
    expect(populate(own)).toEqual({ problem })
  })
  it('are dropped by rules', () => {
    expect(populate({ __address__: 'h' }, {}, [{ sourceLabels: ['job'], regex: 'j', action: 'drop' }])).toHaveProperty('dropped')
  })
  it('have an offset that depends on the target and the seed alone', () => {
    const at = (address: string, seed: bigint): number => {
      const populated = populate({ __address__: address })
      return 'target' in populated ? slotOffset(populated.target, seed) : NaN
    }
    const seed = offsetSeed('host', '{a="b"}')
    expect(at('h:1', seed)).toBe(at('h:1', seed))
    expect(new Set(['h:1', 'h:2', 'h:3'].map((address) => at(address, seed))).size).toBe(3)
    expect(at('h:1', seed)).not.toBe(at('h:1', offsetSeed('other', '{}')))
    const offsets = Array.from({ length: 500 }, (_, i) => at(`h:${i}`, seed))
    expect(Math.min(...offsets)).toBeLessThan(3_000)
    expect(Math.max(...offsets)).toBeGreaterThan(57_000)
  })
  it('FNV-1a', () => {
    expect(fnv1a64('')).toBe(0xcbf29ce484222325n)
    expect(fnv1a64('a')).toBe(0xaf63dc4c8601ec8cn)
    expect(fnv1a64('foo', 'bar')).toBe(0x85944171f73967e8n)
  })
})

describe('sample labels', () => {
  const target = labelsFromObject({ instance: 'h', job: 'j', exported_x: 't', x: 't' })
  const of = (exposed: Record<string, string>, parts: Partial<ScrapeOptions> = {}, rules: Partial<RelabelRule>[] = []): unknown => {
    const flat = Object.entries(exposed)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .flat()
    const labels = new SampleLabels(target, { ...defaultScrapeOptions, ...parts }, compileRelabel(rules.map(relabelRule)), () => {}).of(
      flat,
    )
    return labels === null ? null : labelsToObject(labels)
  }
  const own = { instance: 'h', job: 'j', exported_x: 't', x: 't' }
  it.each<[string, Record<string, string>, Partial<ScrapeOptions>, unknown]>([
    ['merged', { __name__: 'a', l: '1' }, {}, { __name__: 'a', l: '1', ...own }],
    ['conflict', { __name__: 'a', job: '1' }, {}, { __name__: 'a', exported_job: '1', ...own }],
    [
      'conflict with what is free',
      { __name__: 'a', x: '1', exported_x: '2' },
      {},
      { __name__: 'a', exported_exported_x: '1', exported_exported_exported_x: '2', ...own },
    ],
    ['empty is no conflict', { __name__: 'a', job: '' }, {}, { __name__: 'a', ...own }],
    ['honoured', { __name__: 'a', job: '1' }, { honorLabels: true }, { __name__: 'a', ...own, job: '1' }],
    ['honoured, empty', { __name__: 'a', job: '' }, { honorLabels: true }, { __name__: 'a', instance: 'h', exported_x: 't', x: 't' }],
  ])('%s', (_, exposed, parts, labels) => {
    expect(of(exposed, parts)).toEqual(labels)
  })
  it.each<[string, Record<string, string>, Partial<ScrapeOptions>, string]>([
    ['count', { __name__: 'a', l: '1' }, { labelLimit: 5 }, 'label_limit exceeded (metric: a, number of labels: 6, limit: 5)'],
    [
      'name',
      { __name__: 'a', ['l'.repeat(60)]: '1' },
      { labelNameLengthLimit: 20 },
      `label_name_length_limit exceeded (metric: a, label name: ${'l'.repeat(50)}, length: 60, limit: 20)`,
    ],
    [
      'value',
      { __name__: 'a', l: 'é'.repeat(30) },
      { labelValueLengthLimit: 59 },
      `label_value_length_limit exceeded (metric: a, label name: l, value: "${'é'.repeat(30)}", length: 60, limit: 59)`,
    ],
    [
      'legacy names',
      { __name__: 'a.b' },
      { metricNameValidationScheme: 'legacy' },
      'invalid metric name or label names: {__name__="a.b", exported_x="t", instance="h", job="j", x="t"}',
    ],
  ])('limit: %s', (_, exposed, parts, error) => {
    expect(() => of(exposed, parts)).toThrow(error)
  })
  it('a name must stay', () => {
    expect(() => of({ __name__: 'a' }, {}, [{ regex: '__name__', action: 'labeldrop' }])).toThrow('missing metric name (__name__ label)')
    expect(of({ __name__: 'a' }, {}, [{ sourceLabels: ['__name__'], regex: 'a', action: 'drop' }])).toBeNull()
  })
  it('a name comes once', () => {
    const labels = new SampleLabels([], defaultScrapeOptions, compileRelabel([]), () => {})
    expect(() => labels.of(['__name__', 'a', 'x', '1', 'x', '2'])).toThrow('label name "x" is not unique: invalid sample')
  })
})
