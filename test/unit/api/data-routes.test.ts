// Routes that carry data: remote write and read, OTLP, federation, search.
import { gzipSync } from 'node:zlib'
import protobuf from 'protobufjs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { writeFederation } from '../../../src/api/federate.ts'
import { negotiate } from '../../../src/api/metric-format.ts'
import { jaroWinkler, scorerOf, subsequenceScore } from '../../../src/api/search-score.ts'
import { PromhiveError } from '../../../src/base/errors.ts'
import { labelsFromObject } from '../../../src/model/labels.ts'
import { customBucketsSchema, type Histogram } from '../../../src/model/histogram.ts'
import { encodeSnappy, unsnappy } from '../../../protocols/remote/snappy.ts'
import { withExternal, withoutExternal } from '../../../protocols/remote/read.ts'
import { fakeNowMs, startRig, type Rig } from '../../support/fake-api-backend.ts'
import { compressed, encodeV1, encodeV2 } from '../../support/remote-write.ts'

let rig: Rig
beforeAll(async () => {
  rig = await startRig({ enableRemoteWriteReceiver: true, enableOtlpReceiver: true, enableSearch: true, searchLimitMax: 50 })
})
afterAll(() => rig.api.close(0))

const bytes = (body: Uint8Array, headers: Record<string, string> = {}): RequestInit => ({
  method: 'POST',
  body: Buffer.from(body),
  headers,
})

describe('remote write', () => {
  const series = [
    {
      labels: [
        ['__name__', 'up'],
        ['job', 'a'],
      ] as const,
      samples: [[1, fakeNowMs]] as const,
    },
  ]
  const v1 = { 'Content-Type': 'application/x-protobuf', 'Content-Encoding': 'snappy' }
  const v2 = { ...v1, 'Content-Type': 'application/x-protobuf;proto=io.prometheus.write.v2.Request' }

  it('takes both versions', async () => {
    const first = await fetch(`${rig.url}/api/v1/write`, bytes(compressed(encodeV1(series)), v1))
    expect([first.status, await first.text(), first.headers.get('x-prometheus-remote-write-samples-written')]).toEqual([204, '', null])
    const second = await fetch(`${rig.url}/api/v1/write`, bytes(compressed(encodeV2(series)), v2))
    expect([second.status, second.headers.get('x-prometheus-remote-write-samples-written')]).toEqual([204, '1'])
    expect(second.headers.get('x-prometheus-remote-write-histograms-written')).toBe('0')
    expect(second.headers.get('x-prometheus-remote-write-exemplars-written')).toBe('0')
    expect(rig.backend.appender.samples).toEqual([`{__name__="up", job="a"} 1 @${fakeNowMs}`, `{__name__="up", job="a"} 1 @${fakeNowMs}`])
  })

  it('takes a body in many pieces, with and without its length', async () => {
    const many = Array.from({ length: 20_000 }, (_, i) => ({
      labels: [['__name__', `m${i}`]] as const,
      samples: [[i, fakeNowMs]] as const,
    }))
    const body = compressed(encodeV1(many))
    expect(body.length).toBeGreaterThan(100_000)
    for (const chunked of [false, true]) {
      const before = rig.backend.appender.samples.length
      const stream = new ReadableStream<Uint8Array>({
        start: (controller) => {
          for (let i = 0; i < body.length; i += 50_000) controller.enqueue(body.slice(i, i + 50_000))
          controller.close()
        },
      })
      const init = chunked ? ({ method: 'POST', body: stream, duplex: 'half', headers: v1 } as RequestInit) : bytes(body, v1)
      expect((await fetch(`${rig.url}/api/v1/write`, init)).status).toBe(204)
      expect(rig.backend.appender.samples.length - before).toBe(20_000)
      expect(rig.backend.appender.samples.at(-1)).toBe(`{__name__="m19999"} 19999 @${fakeNowMs}`)
    }
  })

  it('refuses what it cannot read, in plain text', async () => {
    const rows: [RequestInit, number, RegExp][] = [
      [bytes(Uint8Array.of(1, 2, 3), v1), 400, /^snappy: /],
      [bytes(compressed(encodeV1(series)).slice(0, 10), v1), 400, /^snappy: /],
      [bytes(new Uint8Array(0), v1), 400, /^snappy: /],
      [bytes(compressed(encodeV1(series)), { ...v1, 'Content-Encoding': 'gzip' }), 415, /gzip encoding/],
      [bytes(compressed(encodeV1(series)), { ...v1, 'Content-Type': 'text/plain' }), 415, /content-type/],
      [bytes(new Uint8Array(33 << 20), v1), 413, /request body exceeds the 33554432 bytes limit/],
    ]
    for (const [init, status, text] of rows) {
      const answer = await fetch(`${rig.url}/api/v1/write`, init)
      expect(answer.status).toBe(status)
      expect(answer.headers.get('content-type')).toBe('text/plain; charset=utf-8')
      expect(await answer.text()).toMatch(text)
    }
  })

  it('asks to come back later where the storage is full', async () => {
    rig.backend.appender.result = new PromhiveError('STORAGE_FULL', 'no space left on device')
    const answer = await fetch(`${rig.url}/api/v1/write`, bytes(compressed(encodeV1(series)), v1))
    rig.backend.appender.result = {}
    expect([answer.status, answer.headers.get('retry-after'), await answer.text()]).toEqual([503, '5', 'no space left on device\n'])
  })

  it('is off by default', async () => {
    const off = await startRig()
    const answer = await fetch(`${off.url}/api/v1/write`, bytes(compressed(encodeV1(series)), v1))
    expect([answer.status, await answer.text()]).toEqual([
      404,
      'remote write receiver needs to be enabled with --web.enable-remote-write-receiver\n',
    ])
    const otlp = await fetch(`${off.url}/api/v1/otlp/v1/metrics`, bytes(new Uint8Array(1)))
    expect([otlp.status, await otlp.text()]).toEqual([404, 'otlp write receiver needs to be enabled with --web.enable-otlp-receiver\n'])
    await off.api.close(0)
  })
})

describe('OTLP', () => {
  it('is decompressed and handed over', async () => {
    const taken: [string, string][] = []
    rig.backend.otlp = {
      write: ({ contentType, body }) => {
        taken.push([contentType, new TextDecoder().decode(body)])
        return Promise.resolve({ status: 200, contentType: 'application/x-protobuf', body: Uint8Array.of(1) })
      },
    }
    const type = { 'Content-Type': 'application/x-protobuf' }
    const text = new TextEncoder().encode('metrics')
    expect((await fetch(`${rig.url}/api/v1/otlp/v1/metrics`, bytes(text, type))).status).toBe(200)
    const zipped = await fetch(`${rig.url}/api/v1/otlp/v1/metrics`, bytes(gzipSync(text), { ...type, 'Content-Encoding': 'gzip' }))
    expect([zipped.status, (await zipped.arrayBuffer()).byteLength]).toEqual([200, 1])
    expect(taken).toEqual([
      ['application/x-protobuf', 'metrics'],
      ['application/x-protobuf', 'metrics'],
    ])
    const bad = await fetch(`${rig.url}/api/v1/otlp/v1/metrics`, bytes(text, { ...type, 'Content-Encoding': 'gzip' }))
    expect([bad.status, await bad.json()]).toMatchObject([
      400,
      { errorType: 'bad_data', error: expect.stringMatching(/^gzip: /) as string },
    ])
    const bomb = await fetch(
      `${rig.url}/api/v1/otlp/v1/metrics`,
      bytes(gzipSync(new Uint8Array(130 << 20)), { ...type, 'Content-Encoding': 'gzip' }),
    )
    expect(bomb.status).toBe(413)
  })
})

describe('remote read', () => {
  const { root } = protobuf.parse(`syntax = "proto3";
    message ReadRequest { repeated Query queries = 1; repeated int32 accepted = 2; }
    message Query { int64 start = 1; int64 end = 2; repeated Matcher matchers = 3; Hints hints = 4; }
    message Hints { int64 step_ms = 1; }
    message Matcher { int32 type = 1; string name = 2; string value = 3; }
    message ReadResponse { repeated Result results = 1; }
    message Result { repeated Series timeseries = 1; }
    message Series { repeated Label labels = 1; repeated Sample samples = 2; }
    message Label { string name = 1; string value = 2; }
    message Sample { double value = 1; int64 timestamp = 2; }`)
  const encode = (request: object): Uint8Array => encodeSnappy(root.lookupType('ReadRequest').encode(request).finish())
  const post = (body: Uint8Array): Promise<Response> => fetch(`${rig.url}/api/v1/read`, bytes(body))

  it('answers raw samples with external labels', async () => {
    const query = {
      start: 1,
      end: 5000,
      hints: { stepMs: 5 },
      matchers: [
        { type: 0, name: 'region', value: 'eu' },
        { type: 2, name: '__name__', value: 'u.*' },
      ],
    }
    const answer = await post(encode({ queries: [query, { ...query, start: -7 }], accepted: [1, 0] }))
    expect([answer.status, answer.headers.get('content-type'), answer.headers.get('content-encoding')]).toEqual([
      200,
      'application/x-protobuf',
      'snappy',
    ])
    expect(rig.backend.asked.slice(-2)).toEqual([
      {
        what: 'samples',
        with: {
          startMs: 1,
          endMs: 5000,
          samplesMax: 50_000_000,
          matchers: [
            { name: 'region', kind: '=', value: '' },
            { name: '__name__', kind: '=~', value: 'u.*' },
          ],
        },
      },
      { what: 'samples', with: expect.objectContaining({ startMs: -7 }) as object },
    ])
    const message = root.lookupType('ReadResponse').decode(unsnappy(new Uint8Array(await answer.arrayBuffer()), 1 << 20))
    const { results } = message.toJSON() as { results: { timeseries: { labels: object[]; samples: object[] }[] }[] }
    expect(results.length).toBe(2)
    expect(results[0]!.timeseries[0]!.labels).toEqual([
      { name: '__name__', value: 'up' },
      { name: 'job', value: 'ignored' },
      { name: 'region', value: 'eu' },
    ])
    expect(results[0]!.timeseries[0]!.samples).toEqual([{ timestamp: '1' }, { value: 1, timestamp: '2' }])
  })

  it('refuses in plain text', async () => {
    const rows: [Uint8Array, number, RegExp][] = [
      [Uint8Array.of(9), 400, /^snappy: /],
      [encodeSnappy(Uint8Array.of(0x0a, 0x50)), 400, /^proto: /],
      [encode({ queries: [{ matchers: [{ type: 9, name: 'a', value: 'b' }] }] }), 400, /^invalid matcher type 9/],
      [
        encode({ queries: [], accepted: [1] }),
        400,
        /^server does not support any of the requested response types: STREAMED_XOR_CHUNKS; supported: SAMPLES/,
      ],
      [encodeSnappy(new Uint8Array(40 << 20)), 400, /exceeds limit 33554432/],
    ]
    for (const [body, status, text] of rows) {
      const answer = await post(body)
      expect(await answer.text()).toMatch(text)
      expect(answer.status).toBe(status)
    }
    rig.backend.failWith = new PromhiveError('TOO_LARGE', 'too many')
    const large = await post(encode({ queries: [{ start: 1, end: 2 }] }))
    rig.backend.failWith = null
    expect([large.status, await large.text()]).toEqual([400, 'exceeded sample limit (50000000)\n'])
  })

  it('knows external labels', () => {
    const external = labelsFromObject({ region: 'eu' })
    const matchers = [
      { name: 'region', kind: '=', value: 'eu' },
      { name: 'region', kind: '=', value: 'us' },
      { name: 'region', kind: '!=', value: 'eu' },
    ] as const
    expect(withoutExternal(matchers, external).map((m) => m.value)).toEqual(['', 'us', 'eu'])
    expect(withExternal(labelsFromObject({ region: 'own', a: 'b' }), external)).toEqual(['a', 'b', 'region', 'own'])
  })
})

describe('federation', () => {
  const histogram: Histogram = {
    isFloat: false,
    schema: 1,
    zeroThreshold: 0.001,
    zeroCount: 2,
    count: 12,
    sum: 18.4,
    positiveSpans: [{ offset: 0, length: 2 }],
    negativeSpans: [],
    positiveBuckets: Float64Array.of(4, 6),
    negativeBuckets: new Float64Array(0),
    customBounds: null,
    counterReset: 0,
  }
  const custom: Histogram = {
    ...histogram,
    schema: customBucketsSchema,
    zeroThreshold: 0,
    zeroCount: 0,
    count: 10,
    positiveSpans: [{ offset: 1, length: 2 }],
    customBounds: Float64Array.of(1, 2.5),
  }
  const found = {
    labels: [
      { __name__: 'up', instance: 'i', job: 'a' },
      { __name__: 'http.status', job: 'b"\\' },
      { job: 'nameless' },
      { __name__: 'native', region: 'own' },
      { __name__: 'classic' },
    ].map(labelsFromObject),
    times: Float64Array.of(1, 2, 3, 4, 5),
    values: Float64Array.of(1, NaN, 3, 18.4, 18.4),
    histograms: [null, null, null, histogram, custom],
    warnings: [],
  }
  const external = labelsFromObject({ region: 'eu' })

  it('in text, with names as asked', () => {
    const nameless: unknown[] = []
    const text = (accept: string): string =>
      new TextDecoder().decode(writeFederation(found, external, negotiate(accept), (labels) => nameless.push(labels)))
    expect(text('text/plain;version=0.0.4;escaping=allow-utf-8')).toBe(
      [
        '# TYPE classic histogram',
        'classic_bucket{instance="",region="eu",le="1"} 0 5',
        'classic_bucket{instance="",region="eu",le="2.5"} 4 5',
        'classic_bucket{instance="",region="eu",le="+Inf"} 10 5',
        'classic_sum{instance="",region="eu"} 18.4 5',
        'classic_count{instance="",region="eu"} 10 5',
        '# TYPE http.status untyped',
        '{"http.status",job="b\\"\\\\",instance="",region="eu"} NaN 2',
        '# TYPE up untyped',
        'up{instance="i",job="a",region="eu"} 1 1',
        '',
      ].join('\n'),
    )
    expect(text('')).toContain('# TYPE http_status untyped\nhttp_status{job=')
    expect(text('text/plain;escaping=values')).toContain('U__http_2e_status{job=')
    expect(text('text/plain;escaping=dots')).toContain('http_dot_status{job=')
    expect(nameless.length).toBe(4)
  })

  it('in protobuf, with native histograms', () => {
    const { root } = protobuf.parse(`syntax = "proto2";
      message F { optional string name = 1; optional int32 type = 3; repeated M metric = 4; }
      message M { repeated L label = 1; optional U untyped = 5; optional int64 timestamp_ms = 6; optional H histogram = 7; }
      message L { optional string name = 1; optional string value = 2; }
      message U { optional double value = 1; }
      message S { optional sint32 offset = 1; optional uint32 length = 2; }
      message B { optional double upper_bound = 2; optional double cumulative_count_float = 4; }
      message H { optional double sample_sum = 2; optional double sample_count_float = 4; optional sint32 schema = 5; optional double zero_threshold = 6;
        optional double zero_count_float = 8; repeated S positive_span = 12; repeated double positive_count = 14; repeated B bucket = 3; }`)
    const accept = 'application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;escaping=allow-utf-8'
    const format = negotiate(accept)
    expect(format.contentType).toBe(
      'application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited; escaping=allow-utf-8',
    )
    const reader = protobuf.Reader.create(writeFederation(found, external, format, () => {}))
    const families: Record<string, unknown>[] = []
    while (reader.pos < reader.len) families.push(root.lookupType('F').decodeDelimited(reader).toJSON())
    expect(families.map((f) => [f['name'], f['type']])).toEqual([
      ['classic', 4],
      ['http.status', 3],
      ['native', 4],
      ['up', 3],
    ])
    expect(families[2]!['metric']).toEqual([
      {
        label: [
          { name: 'region', value: 'own' },
          { name: 'instance', value: '' },
        ],
        timestampMs: '4',
        histogram: {
          sampleSum: 18.4,
          sampleCountFloat: 12,
          schema: 1,
          zeroThreshold: 0.001,
          zeroCountFloat: 2,
          positiveSpan: [{ length: 2 }],
          positiveCount: [4, 6],
        },
      },
    ])
    expect(families[0]!['metric']).toMatchObject([
      {
        histogram: {
          bucket: [
            { upperBound: 1, cumulativeCountFloat: 0 },
            { upperBound: 2.5, cumulativeCountFloat: 4 },
          ],
        },
      },
    ])
  })

  it('asks for what is selected and refuses the rest in plain text', async () => {
    const answer = await fetch(`${rig.url}/federate?match[]=up&match[]=a_total`)
    expect(await answer.text()).toBe(
      '# TYPE a_total untyped\na_total{job="x",instance="",region="eu"} 2.5 2000\n# TYPE up untyped\nup{instance="i",job="b",region="eu"} 1 1000\n',
    )
    expect(rig.backend.asked.at(-1)!.with).toMatchObject({ startMs: fakeNowMs - 300_000, endMs: fakeNowMs })
    expect(await (await fetch(`${rig.url}/federate`)).text()).toBe('')
    const bad = await fetch(`${rig.url}/federate?match[]=%28`)
    expect([bad.status, await bad.text()]).toEqual([400, '1:1: parse error: unexpected end of input\n'])
    rig.backend.failWith = new PromhiveError('UNAVAILABLE', 'TSDB not ready')
    expect((await fetch(`${rig.url}/federate?match[]=up`)).status).toBe(503)
    rig.backend.failWith = new PromhiveError('INTERNAL', 'broken')
    expect((await fetch(`${rig.url}/federate?match[]=up`)).status).toBe(500)
    rig.backend.failWith = null
    const text = await (await fetch(`${rig.url}/metrics`)).text()
    expect(text).toContain('\nprometheus_web_federation_errors_total 2\n')
    expect(text).toContain('\nprometheus_web_federation_warnings_total 1\n')
  })
})

describe('search', () => {
  const lines = async (path: string): Promise<unknown[]> => {
    const answer = await fetch(rig.url + path)
    expect(answer.headers.get('content-type')).toBe('application/x-ndjson; charset=utf-8')
    return (await answer.text())
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown)
  }
  it('streams batches and a trailer', async () => {
    expect(await lines('/api/v1/search/metric_names?batch_size=2')).toEqual([
      { results: [{ name: 'down' }, { name: 'up' }], warnings: ['a shard is missing'] },
      { results: [{ name: 'up_total' }] },
      { status: 'success', has_more: false },
    ])
    expect(await lines('/api/v1/search/metric_names?limit=1&sort_by=alpha&sort_dir=dsc')).toEqual([
      { results: [{ name: 'up_total' }], warnings: ['a shard is missing'] },
      { status: 'success', has_more: true },
    ])
    expect(await lines('/api/v1/search/label_names?search[]=zz')).toEqual([{ results: [] }, { status: 'success', has_more: false }])
    expect(rig.backend.asked.at(-1)).toMatchObject({
      what: 'labelNames',
      with: { startMs: fakeNowMs - 3_600_000, endMs: fakeNowMs, limit: 0 },
    })
  })
  it('scores, sorts and adds metadata', async () => {
    const [first] = (await lines(
      '/api/v1/search/metric_names?search[]=UP&case_sensitive=false&sort_by=score&include_score=true&include_metadata=true',
    )) as { results: object[] }[]
    expect(first!.results).toEqual([
      { name: 'up', score: 1, type: 'gauge', help: 'Up.' },
      { name: 'up_total', score: 1 },
    ])
    expect(((await lines('/api/v1/search/label_values?label=job&search[]=own'))[0] as { results: object[] }).results).toEqual([
      { value: 'down' },
    ])
  })
  const bad: readonly (readonly [string, string])[] = [
    ['label_values', 'missing required parameter "label"'],
    ['metric_names?limit=0', 'invalid limit "0": must be a positive integer'],
    ['metric_names?limit=51', 'limit 51 exceeds the configured maximum (50, see --web.search.max-limit)'],
    ['metric_names?batch_size=x', 'invalid batch_size "x": must be a positive integer'],
    ['metric_names?fuzz_threshold=101', 'invalid fuzz_threshold "101": must be 0-100'],
    ['metric_names?fuzz_alg=x', 'unsupported fuzz_alg "x": must be one of [subsequence jarowinkler]'],
    ['metric_names?case_sensitive=x', 'invalid case_sensitive "x": must be boolean'],
    ['metric_names?sort_dir=asc', 'sort_dir is only valid when sort_by is set'],
    ['metric_names?sort_by=score', 'sort_by=score requires search[] to be set'],
    ['metric_names?sort_by=score&sort_dir=asc&search[]=x', 'sort_dir is not supported for sort_by=score'],
    ['metric_names?sort_by=alpha&sort_dir=up', 'invalid sort_dir "up": must be "asc" or "dsc"'],
    ['metric_names?sort_by=x', 'invalid sort_by "x" for metric_names: must be "alpha" or "score"'],
    ['metric_names?start=2&end=1', 'end timestamp must not be before start timestamp'],
    ['metric_names?start=x', `invalid time value for 'start': cannot parse "x" to a valid timestamp`],
    [`metric_names?${'search[]=a&'.repeat(33)}`, 'too many search[] terms: got 33, maximum is 32'],
  ]
  for (const [path, error] of bad) {
    it(`refuses ${path.slice(0, 60)}`, async () => {
      const answer = await fetch(`${rig.url}/api/v1/search/${path}`)
      expect([answer.status, await answer.json()]).toEqual([400, { status: 'error', errorType: 'bad_data', error }])
    })
  }
  it('is off by default', async () => {
    const off = await startRig()
    const answer = await fetch(`${off.url}/api/v1/search/metric_names`)
    expect([answer.status, await answer.json()]).toEqual([500, { status: 'error', errorType: 'unavailable', error: 'search API disabled' }])
    await off.api.close(0)
  })

  it('scores', () => {
    const near = (a: string, b: string): number => Math.round(jaroWinkler(Array.from(a), Array.from(b)) * 1e4) / 1e4
    expect(near('martha', 'marhta')).toBe(0.9611)
    expect(near('dwayne', 'duane')).toBe(0.84)
    expect(near('dixon', 'dicksonx')).toBe(0.8133)
    expect([near('', ''), near('a', ''), near('a', 'b')]).toEqual([1, 0, 0])
    const subsequence = (a: string, b: string): number => subsequenceScore(Array.from(a), b, Array.from(b))
    expect(subsequence('abc', 'abc')).toBe(1)
    expect(subsequence('abc', 'acb')).toBe(0)
    expect(subsequence('ab', 'xabx')).toBeCloseTo(((4 - 0.25 - 0.125) / 4) * 0.999, 10)
    expect(subsequence('ac', 'abc')).toBeCloseTo(((1 + 1 - 1 / 3) / 4) * 0.999, 10)
    const jaro = scorerOf({ terms: ['total'], algorithm: 'jarowinkler', threshold: 0.8, caseSensitive: true })
    expect(jaro('up_total')).toBeCloseTo(0.1, 10)
    expect(jaro('totl')).toBeGreaterThan(0.8)
    expect(jaro('Total')).toBeGreaterThan(0.8)
    expect(jaro('xyz')).toBeNull()
    expect(scorerOf({ terms: ['', ''], algorithm: 'subsequence', threshold: 1, caseSensitive: true })('any')).toBe(1)
  })
})
