import { describe, expect, it } from 'vitest'
import { MetricsRegistry } from '../../../src/base/metrics.ts'
import { acceptHeader, formatOf } from '../../../protocols/exposition/formats.ts'
import { checkOpenMetrics } from '../../../protocols/exposition/openmetrics-strict.ts'
import { writeFamilies, writtenFormat } from '../../../protocols/exposition/write.ts'

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

async function families() {
  const registry = new MetricsRegistry()
  registry.counter('a_total', 'Line\nand \\ and "quote".', ['x']).labels('v"\\\né').inc(3)
  registry.gauge('b', 'Gauge.').set(1.5e9)
  registry.histogram('h', 'Histogram.', [0.1, 1], []).observe(0.5)
  registry.summary('s', 'Summary.', [0.5]).observe(2)
  registry.gauge('none', 'No samples.', ['x'])
  return registry.gather()
}

describe('our own metrics', () => {
  it('in text', async () => {
    expect(text(writeFamilies(await families(), 'text'))).toBe(`# HELP a_total Line\\nand \\\\ and "quote".
# TYPE a_total counter
a_total{x="v\\"\\\\\\né"} 3
# HELP b Gauge.
# TYPE b gauge
b 1.5e+09
# HELP h Histogram.
# TYPE h histogram
h_bucket{le="0.1"} 0
h_bucket{le="1"} 1
h_bucket{le="+Inf"} 1
h_sum 0.5
h_count 1
# HELP s Summary.
# TYPE s summary
s{quantile="0.5"} 2
s_sum 2
s_count 1
`)
  })
  it('in OpenMetrics, to the letter', async () => {
    const body = writeFamilies(await families(), 'openmetrics')
    expect(checkOpenMetrics(body)).toEqual([])
    expect(text(body)).toContain('# TYPE a counter\na_total{x="v\\"\\\\\\né"} 3.0\n')
    expect(text(body)).toContain('h_bucket{le="1.0"} 1.0\n')
  })
  it('families from two places are one', () => {
    const one = { name: 'a', help: 'h', kind: 'gauge' as const, samples: [{ suffix: '', labels: ['x', '1'], value: 1 }] }
    const two = { ...one, samples: [{ suffix: '', labels: ['x', '2'], value: 2 }] }
    expect(text(writeFamilies([one, two], 'text'))).toBe('# HELP a h\n# TYPE a gauge\na{x="1"} 1\na{x="2"} 2\n')
  })
  it.each([
    ['', 'text'],
    ['*/*', 'text'],
    ['text/plain', 'text'],
    ['application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.4', 'openmetrics'],
    ['application/openmetrics-text;version=1.0.0;q=0.3,text/plain;q=0.4', 'text'],
    ['application/openmetrics-text;version=2.0.0,text/plain;q=0.1', 'text'],
    ['application/vnd.google.protobuf;q=0.9,text/plain;q=0.4', 'text'],
  ])('%j asks for %s', (accept, format) => {
    expect(writtenFormat(accept)).toBe(format)
  })
})

describe('negotiation', () => {
  it('builds Accept', () => {
    expect(
      acceptHeader(
        ['PrometheusProto', 'OpenMetricsText1.0.0', 'OpenMetricsText0.0.1', 'PrometheusText1.0.0', 'PrometheusText0.0.4'],
        'values',
      ),
    ).toBe(
      'application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,application/openmetrics-text;version=1.0.0;escaping=values;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=values;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1',
    )
    expect(acceptHeader(['PrometheusText0.0.4'], 'underscores')).toBe('text/plain;version=0.0.4;q=0.6,*/*;q=0.5')
  })
  it.each<[string, string, string]>([
    ['text/plain', '', 'text'],
    ['Text/Plain; version=0.0.4; charset="utf-8;x"', '', 'text'],
    ['application/openmetrics-text; version=1.0.0', '', 'openmetrics'],
    ['application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited', '', 'protobuf'],
    ['', 'PrometheusText0.0.4', 'text'],
    ['text/html', 'OpenMetricsText1.0.0', 'openmetrics'],
    [';;;', 'PrometheusProto', 'protobuf'],
  ])('%j with fallback %j is %s', (contentType, fallback, format) => {
    expect(formatOf(contentType, fallback as '')).toBe(format)
  })
  it.each([
    ['', 'non-compliant scrape target sending blank Content-Type and no fallback_scrape_protocol specified for target'],
    ['text/html', 'received unsupported Content-Type "text/html" and no fallback_scrape_protocol specified for target'],
    ['text/plain; =', 'cannot parse Content-Type "text/plain; =" and no fallback_scrape_protocol for target'],
  ])('%j without fallback fails', (contentType, message) => {
    expect(() => formatOf(contentType, '')).toThrow(message)
  })
})
