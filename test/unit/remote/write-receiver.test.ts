// What becomes of remote-write requests: the columns they end in, and the answers senders get.
import protobuf from 'protobufjs'
import { describe, expect, it } from 'vitest'
import { encodeSnappy } from '../../../protocols/remote/snappy.ts'
import { ProtoWriter } from '../../../protocols/remote/protobuf.ts'
import { WriteReceiver, type WriteOutcome, type WriteReceiverOptions } from '../../../protocols/remote/write-receiver.ts'
import { PromhiveError } from '../../../src/base/errors.ts'
import { silentLogger } from '../../../src/base/logger.ts'
import { MetricsRegistry } from '../../../src/base/metrics.ts'
import { printLabels } from '../../../src/model/labels.ts'
import { isStaleAt, staleNaN } from '../../../src/model/staleness.ts'
import { compressed, encodeV1, encodeV2, RecordingAppender, type WireSeries } from '../../support/remote-write.ts'

const nowMs = 1_700_000_000_000
const v1 = 'prometheus.WriteRequest'
const v2 = 'io.prometheus.write.v2.Request'

function open(options: Partial<WriteReceiverOptions> = {}): {
  receiver: WriteReceiver
  appender: RecordingAppender
  metrics: MetricsRegistry
} {
  const appender = new RecordingAppender()
  const metrics = new MetricsRegistry()
  const receiver = new WriteReceiver({
    appender,
    nowMs: () => nowMs,
    logger: silentLogger,
    metrics,
    accepted: [v1, v2],
    typeAndUnitLabels: false,
    startTimestampZeros: false,
    seed: 1,
    ...options,
  })
  return { receiver, appender, metrics }
}

async function metric(metrics: MetricsRegistry, name: string): Promise<number> {
  const family = (await metrics.gather()).find((f) => f.name === name)
  return family!.samples[0]!.value
}

const up: WireSeries = {
  labels: [
    ['__name__', 'up'],
    ['job', 'a'],
  ],
  samples: [[1, nowMs]],
}
const ok: WriteOutcome = { status: 204, message: '', retryAfterSeconds: 0, written: null }

describe('remote write 1.x', () => {
  it('writes every sample of every series, and opens a series once', async () => {
    const { receiver, appender } = open()
    for (let round = 0; round < 3; round++) {
      const series = [
        up,
        {
          ...up,
          labels: [...up.labels, ['zone', 'é'] as const],
          samples: [
            [0, nowMs + round],
            [-2.5, nowMs + round + 1],
          ] as const,
        },
      ]
      expect(await receiver.receive(v1, compressed(encodeV1(series)))).toEqual(ok)
    }
    expect(appender.opens).toBe(2)
    expect(appender.samples.slice(0, 3)).toEqual([
      `{__name__="up", job="a"} 1 @${nowMs}`,
      `{__name__="up", job="a", zone="é"} 0 @${nowMs}`,
      `{__name__="up", job="a", zone="é"} -2.5 @${nowMs + 1}`,
    ])
    expect(appender.samples.length).toBe(9)
  })

  it('sorts labels and leaves empty ones out, so that one series stays one', async () => {
    const { receiver, appender } = open()
    const labels = [
      ['job', 'a'],
      ['__name__', 'up'],
      ['empty', ''],
    ] as const
    await receiver.receive(v1, compressed(encodeV1([{ ...up, labels }, up])))
    expect(appender.series.map(printLabels)).toEqual(['{__name__="up", job="a"}', '{__name__="up", job="a"}'])
  })

  it('tells a series from one whose labels it begins with', async () => {
    const { receiver, appender } = open()
    const longer = { ...up, labels: [...up.labels, ['z', '1'] as const] }
    for (let round = 0; round < 3; round++)
      await receiver.receive(v1, compressed(encodeV1(round === 0 ? [up, up, longer] : [up, longer, longer])))
    expect(appender.samples.map((s) => s.includes('z='))).toEqual([false, false, true, false, true, true, false, true, true])
  })

  it('keeps the staleness marker and special values', async () => {
    const { receiver, appender } = open()
    const samples = [
      [staleNaN, nowMs],
      [NaN, nowMs + 1],
      [Infinity, nowMs + 2],
      [-0, nowMs + 3],
    ] as const
    await receiver.receive(v1, compressed(encodeV1([{ ...up, samples }])))
    const { values } = appender.batches[0]!
    expect(isStaleAt(new Uint32Array(values.buffer), 0)).toBe(true)
    expect(isStaleAt(new Uint32Array(values.buffer), 1)).toBe(false)
    expect([...values.subarray(1)]).toEqual([NaN, Infinity, -0])
  })

  it('reads what another implementation writes, with fields in any order, labels in pieces and unknown fields', async () => {
    const { receiver, appender } = open()
    const { root } = protobuf.parse(`syntax = "proto3";
      message W { repeated T timeseries = 1; repeated M metadata = 3; int64 odd = 1000; }
      message M { int32 type = 1; string metric_family_name = 2; string help = 4; }
      message T { repeated S samples = 2; repeated L labels = 1; string odd = 999; }
      message L { string name = 1; string value = 2; }
      message S { double value = 1; int64 timestamp = 2; int32 odd = 15; }`)
    const message = root
      .lookupType('W')
      .encode({
        odd: 7,
        metadata: [{ type: 1, metricFamilyName: 'up', help: 'Up.' }],
        timeseries: [
          {
            odd: 'x',
            labels: [
              { name: '__name__', value: 'up' },
              { name: 'job', value: 'a' },
            ],
            samples: [{ value: 2, timestamp: nowMs, odd: 3 }],
          },
        ],
      })
      .finish()
    expect(await receiver.receive(v1, encodeSnappy(message))).toEqual(ok)
    // samples first, labels in two pieces around an unknown field
    const w = new ProtoWriter()
    const label = (name: string, value: string): void =>
      w.message(1, () => {
        w.string(2, value)
        w.string(1, name)
      })
    w.message(1, () => {
      w.message(2, () => {
        w.int64(2, nowMs + 1)
        w.double(1, 3)
      })
      label('job', 'a')
      w.string(9, 'unknown')
      w.message(2, () => w.int64(2, nowMs + 2))
      label('__name__', 'up')
    })
    for (let round = 0; round < 2; round++) expect(await receiver.receive(v1, encodeSnappy(w.written()))).toEqual(ok)
    expect(appender.samples).toEqual([
      `{__name__="up", job="a"} 2 @${nowMs}`,
      `{__name__="up", job="a"} 3 @${nowMs + 1}`,
      `{__name__="up", job="a"} 0 @${nowMs + 2}`,
      `{__name__="up", job="a"} 3 @${nowMs + 1}`,
      `{__name__="up", job="a"} 0 @${nowMs + 2}`,
    ])
    // no half of the labels was ever opened as a series
    expect(appender.series.every((labels) => labels.length === 4)).toBe(true)
  })

  const invalid: readonly (readonly [string, WireSeries['labels']])[] = [
    ['no metric name', [['job', 'a']]],
    [
      'an empty metric name',
      [
        ['__name__', ''],
        ['job', 'a'],
      ],
    ],
    ['no labels', []],
    [
      'a label without a name',
      [
        ['__name__', 'up'],
        ['', 'x'],
      ],
    ],
    [
      'a label twice',
      [
        ['__name__', 'up'],
        ['job', 'a'],
        ['job', 'b'],
      ],
    ],
    [
      'a label twice, apart',
      [
        ['job', 'a'],
        ['__name__', 'up'],
        ['job', 'a'],
      ],
    ],
    ['too many labels', [['__name__', 'up'], ...Array.from({ length: 1000 }, (_, i) => [`l${i}`, 'x'] as const)]],
    [
      'too large labels',
      [
        ['__name__', 'up'],
        ['big', 'x'.repeat(300_000)],
      ],
    ],
  ]
  for (const [name, labels] of invalid) {
    it(`leaves a series out that has ${name}, counts it, and takes the rest`, async () => {
      const { receiver, appender, metrics } = open()
      const body = compressed(encodeV1([{ ...up, labels }, up]))
      expect(await receiver.receive(v1, body)).toEqual(ok)
      expect(appender.samples).toEqual([`{__name__="up", job="a"} 1 @${nowMs}`])
      expect(await metric(metrics, 'prometheus_api_remote_write_invalid_labels_samples_total')).toBe(1)
    })
  }

  it('leaves series out whose labels are not UTF-8', async () => {
    const { receiver, appender } = open()
    for (const bad of [[0xff], [0xc3], [0xed, 0xa0, 0x80], [0xf5, 0x80, 0x80, 0x80], [0xc0, 0x80], [0xe2, 0x82]]) {
      const w = new ProtoWriter()
      w.message(1, () => {
        w.message(1, () => {
          w.string(1, '__name__')
          w.data(2, Uint8Array.from(bad))
        })
        w.message(2, () => w.int64(2, nowMs))
      })
      expect(await receiver.receive(v1, encodeSnappy(w.written()))).toEqual(ok)
    }
    expect(appender.batches).toEqual([])
  })

  it('refuses samples more than ten minutes ahead and takes the others', async () => {
    const { receiver, appender } = open()
    const samples = [
      [1, nowMs + 600_000],
      [2, nowMs + 600_001],
      [3, 2 ** 62],
    ] as const
    expect(await receiver.receive(v1, compressed(encodeV1([{ ...up, samples }])))).toEqual({
      ...ok,
      status: 400,
      message: 'out of bounds: timestamp is too far in the future',
    })
    expect(appender.samples).toEqual([`{__name__="up", job="a"} 1 @${nowMs + 600_000}`])
  })

  it('refuses histograms more than ten minutes ahead, and leaves out exemplars', async () => {
    for (const message of [v1, v2] as const) {
      const { receiver, appender } = open()
      const histogram = { countInt: 1, zeroCountInt: 1, sum: 1 }
      const series: WireSeries = {
        ...up,
        samples: [[1, nowMs]],
        histograms: [
          { ...histogram, timeMs: nowMs + 600_000 },
          { ...histogram, timeMs: nowMs + 600_001 },
        ],
        exemplars: [
          { labels: [], value: 1, timeMs: nowMs + 600_000 },
          { labels: [], value: 2, timeMs: nowMs + 600_001 },
        ],
      }
      const outcome = await receiver.receive(message, compressed(message === v1 ? encodeV1([series]) : encodeV2([series])))
      const forSeries = message === v1 ? '' : ' for series {__name__="up", job="a"}'
      expect(outcome).toMatchObject({ status: 400, message: `out of bounds: timestamp is too far in the future${forSeries}` })
      if (message === v2) expect(outcome.written).toEqual({ samples: 1, histograms: 1, exemplars: 1 })
      const times = (of: 'histograms' | 'exemplars'): number[] =>
        appender.batches.flatMap((batch) => (batch[of] ?? []).map(({ timeMs }) => timeMs))
      expect([times('histograms'), times('exemplars')]).toEqual([[nowMs + 600_000], [nowMs + 600_000]])
    }
  })

  for (const text of ['out of order sample', 'duplicate sample for timestamp', 'out of bounds', 'too old sample']) {
    it(`answers 400 where the storage says "${text}"`, async () => {
      const { receiver, appender } = open()
      appender.result = { appended: 0, outOfOrder: 1, firstError: text }
      expect(await receiver.receive(v1, compressed(encodeV1([up])))).toEqual({ ...ok, status: 400, message: text })
    })
  }

  it('answers 503 with a pause where the storage cannot take anything, and 500 for our own faults', async () => {
    const { receiver, appender } = open()
    appender.result = new PromhiveError('STORAGE_FULL', 'no space left')
    expect(await receiver.receive(v1, compressed(encodeV1([up])))).toEqual({
      ...ok,
      status: 503,
      message: 'no space left',
      retryAfterSeconds: 5,
    })
    appender.result = new Error('BUG: something')
    expect(await receiver.receive(v1, compressed(encodeV1([up])))).toMatchObject({ status: 500 })
  })

  it('answers 204 to a batch that is durable and not yet applied', async () => {
    const { receiver, appender } = open()
    appender.result = { pending: true, appended: 0 }
    expect(await receiver.receive(v1, compressed(encodeV1([up])))).toEqual(ok)
  })

  it('hands native histograms over, integer, float and with custom buckets', async () => {
    const { receiver, appender } = open()
    const spans = [
      [0, 2],
      [1, 1],
    ] as const
    const histograms = [
      {
        countInt: 10,
        sum: 3.5,
        schema: 1,
        zeroThreshold: 0.001,
        zeroCountInt: 1,
        positiveSpans: spans,
        positiveDeltas: [1, 1, -1],
        negativeSpans: [[-1, 1]] as const,
        negativeDeltas: [5],
        timeMs: nowMs,
        resetHint: 1,
      },
      {
        countFloat: 2.5,
        sum: 1,
        schema: -2,
        zeroCountFloat: 0.5,
        positiveSpans: [[0, 1]] as const,
        positiveCounts: [2],
        timeMs: nowMs + 1,
        resetHint: 3,
      },
      {
        countInt: 3,
        sum: 9,
        schema: -53,
        positiveSpans: [[1, 2]] as const,
        positiveDeltas: [1, 1],
        customValues: [1, 5],
        timeMs: nowMs + 2,
      },
      { countInt: 0, sum: staleNaN, schema: 0, timeMs: nowMs + 3 },
    ]
    expect(await receiver.receive(v1, compressed(encodeV1([{ labels: up.labels, histograms }])))).toEqual(ok)
    const taken = appender.batches[0]!.histograms!
    expect(
      taken.map((h) => [h.timeMs - nowMs, h.histogram.isFloat, h.histogram.schema, h.histogram.count, h.histogram.counterReset]),
    ).toEqual([
      [0, false, 1, 10, 1],
      [1, true, -2, 2.5, 3],
      [2, false, -53, 3, 0],
      [3, false, 0, 0, 0],
    ])
    expect([...taken[0]!.histogram.positiveBuckets]).toEqual([1, 2, 1])
    expect([...taken[0]!.histogram.negativeBuckets]).toEqual([5])
    expect(taken[0]!.histogram.negativeSpans).toEqual([{ offset: -1, length: 1 }])
    expect([...taken[2]!.histogram.customBounds!]).toEqual([1, 5])
  })

  it('merges the buckets of schemas finer than the storage keeps', async () => {
    const { receiver, appender } = open()
    const histograms = [{ countInt: 6, sum: 1, schema: 9, positiveSpans: [[1, 4]] as const, positiveDeltas: [1, 0, 1, 0], timeMs: nowMs }]
    expect(await receiver.receive(v1, compressed(encodeV1([{ labels: up.labels, histograms }])))).toEqual(ok)
    const { histogram } = appender.batches[0]!.histograms![0]!
    expect(histogram).toMatchObject({ schema: 8, isFloat: false, count: 6 })
    expect([...histogram.positiveBuckets]).toEqual([2, 4])
  })

  const badHistograms: readonly (readonly [string, NonNullable<WireSeries['histograms']>[number], RegExp])[] = [
    [
      'fewer buckets than spans',
      { countInt: 1, positiveSpans: [[0, 2]], positiveDeltas: [1], timeMs: nowMs },
      /spans need 2 buckets, have 1/,
    ],
    ['a negative bucket', { countInt: 1, positiveSpans: [[0, 2]], positiveDeltas: [1, -2], timeMs: nowMs }, /negative/],
    [
      'a count that does not fit',
      { countInt: 5, sum: 1, positiveSpans: [[0, 1]], positiveDeltas: [1], timeMs: nowMs },
      /1 observations found in buckets, but the Count field is 5/,
    ],
    ['an unknown schema', { countInt: 0, schema: 99, timeMs: nowMs }, /invalid schema.*got schema 99/],
    ['custom bounds that fall', { countInt: 0, schema: -53, customValues: [2, 1], timeMs: nowMs }, /strictly increasing/],
    ['a time too far ahead', { countInt: 0, timeMs: nowMs + 700_000 }, /too far in the future/],
    ['a huge span in a reserved schema', { countInt: 0, schema: 20, positiveSpans: [[0, 4_000_000_000]], timeMs: nowMs }, /spans need/],
  ]
  for (const [name, histogram, message] of badHistograms) {
    it(`refuses a histogram with ${name}`, async () => {
      const { receiver, appender } = open()
      const outcome = await receiver.receive(v1, compressed(encodeV1([{ labels: up.labels, histograms: [histogram] }])))
      expect(outcome.status).toBe(400)
      expect(outcome.message).toMatch(message)
      expect(appender.batches).toEqual([])
    })
  }

  it('hands exemplars over; faulty ones never fail the request', async () => {
    const { receiver, appender } = open()
    const exemplars = [
      { labels: [['trace_id', 'x']] as const, value: 0.5, timeMs: nowMs },
      { labels: [], value: 1, timeMs: nowMs + 10_000_000 },
      { labels: [['a', 'b']] as const, value: 0, timeMs: 0 },
    ]
    appender.result = { exemplarsOutOfOrder: 1 }
    expect(await receiver.receive(v1, compressed(encodeV1([{ ...up, exemplars }])))).toEqual(ok)
    expect(appender.batches[0]!.exemplars).toEqual([
      { handle: 0, labels: ['trace_id', 'x'], value: 0.5, timeMs: nowMs, hasTime: true },
      { handle: 0, labels: ['a', 'b'], value: 0, timeMs: 0, hasTime: false },
    ])
  })

  it('gives handles back that it does not keep, and all of them at the end', async () => {
    const { receiver, appender } = open({ cacheEntriesMax: 50 })
    for (let i = 0; i < 500; i++) {
      const labels = [
        ['__name__', `m${i}`],
        ['pad', 'x'.repeat(100)],
      ] as const
      expect(await receiver.receive(v1, compressed(encodeV1([{ ...up, labels }, up])))).toEqual(ok)
    }
    receiver.close()
    expect(new Set(appender.released).size).toBe(appender.released.length)
    expect(appender.released.length).toBe(appender.opens)
  })

  const bodies: readonly (readonly [string, Uint8Array, RegExp])[] = [
    ['nothing', new Uint8Array(0), /^snappy: corrupt input/],
    ['a body that is not compressed', encodeV1([up]), /^snappy: /],
    ['a truncated body', compressed(encodeV1([up])).slice(0, 20), /^snappy: corrupt input/],
    ['a claim of gigabytes', Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x0f, 0), /^snappy: decoded length 4294967295 exceeds limit/],
    ['a message that ends inside of a series', compressed(encodeV1([up]).slice(0, -1)), /^proto: .*offset/],
    ['a text instead of a message', compressed(new TextEncoder().encode('hello world, this is no protobuf')), /^proto: /],
    ['deep groups', compressed(new Uint8Array(100_000).fill(0x0b)), /^proto: (wrong|illegal) wire type 3/],
  ]
  for (const [name, body, message] of bodies) {
    it(`refuses ${name} with 400 and a reason`, async () => {
      const { receiver, appender } = open()
      const outcome = await receiver.receive(v1, body)
      expect(outcome.status).toBe(400)
      expect(outcome.message).toMatch(message)
      expect(appender.batches).toEqual([])
      expect(await receiver.receive(v1, compressed(encodeV1([up])))).toEqual(ok)
    })
  }
})

describe('remote write 2.0', () => {
  const written = (samples: number, histograms = 0, exemplars = 0): WriteOutcome => ({ ...ok, written: { samples, histograms, exemplars } })

  it('writes samples, histograms and exemplars and says how many', async () => {
    const { receiver, appender } = open()
    const series: WireSeries[] = [
      {
        ...up,
        samples: [
          [1, nowMs],
          [2, nowMs + 1],
        ],
        exemplars: [{ labels: [['trace_id', 't']], value: 1, timeMs: nowMs }],
      },
      {
        labels: [['__name__', 'h']],
        histograms: [{ countInt: 1, sum: 1, positiveSpans: [[0, 1]], positiveDeltas: [1], timeMs: nowMs, startTimeMs: nowMs - 5 }],
      },
    ]
    for (const symbolsFirst of [true, false]) {
      expect(await receiver.receive(v2, compressed(encodeV2(series, symbolsFirst)))).toEqual(written(2, 1, 1))
    }
    expect(appender.opens).toBe(2)
    expect(appender.samples.slice(0, 2)).toEqual([`{__name__="up", job="a"} 1 @${nowMs}`, `{__name__="up", job="a"} 2 @${nowMs + 1}`])
    expect(appender.batches[1]!.histograms![0]).toMatchObject({ handle: 1, timeMs: nowMs, startTimeMs: nowMs - 5 })
    expect(appender.batches[0]!.exemplars![0]).toMatchObject({ labels: ['trace_id', 't'] })
  })

  it('keeps what is good of a request with faults, and names them', async () => {
    const { receiver, appender, metrics } = open()
    const series: WireSeries[] = [
      up,
      {
        labels: [['job', 'nameless']],
        samples: [
          [1, nowMs],
          [1, nowMs + 1],
        ],
      },
      {
        labels: [
          ['__name__', 'twice'],
          ['a', '1'],
          ['a', '2'],
        ],
        samples: [[1, nowMs]],
      },
      { labels: [['__name__', 'empty']] },
      { labels: [['__name__', 'ahead']], samples: [[1, nowMs + 1e9]] },
      { labels: [['__name__', 'bad']], histograms: [{ countInt: 5, sum: 1, timeMs: nowMs }] },
    ]
    const outcome = await receiver.receive(v2, compressed(encodeV2(series)))
    expect(outcome).toMatchObject({ status: 400, written: { samples: 1, histograms: 0, exemplars: 0 } })
    expect(outcome.message.split('\n')).toEqual([
      'invalid metric name or labels, got {job="nameless"}: no metric name',
      'invalid metric name or labels, got {__name__="twice", a="1", a="2"}: duplicated label a',
      'TimeSeries must contain at least one sample or histogram for series {__name__="empty"}',
      'out of bounds: timestamp is too far in the future for series {__name__="ahead"}',
      expect.stringMatching(/Count field is 5.* for series \{__name__="bad"\}$/),
    ])
    expect(appender.samples).toEqual([`{__name__="up", job="a"} 1 @${nowMs}`])
    expect(await metric(metrics, 'prometheus_api_remote_write_invalid_labels_samples_total')).toBe(3)
  })

  it('counts what the storage refused', async () => {
    const { receiver, appender } = open()
    appender.result = { appended: 1, outOfOrder: 1, exemplarsOutOfOrder: 1, firstError: 'out of order sample' }
    const series: WireSeries[] = [
      {
        ...up,
        samples: [
          [1, nowMs],
          [2, nowMs - 1],
        ],
        exemplars: [{ labels: [], value: 1, timeMs: nowMs }],
      },
    ]
    expect(await receiver.receive(v2, compressed(encodeV2(series)))).toEqual({
      ...written(1, 0, 0),
      status: 400,
      message: 'out of order sample',
    })
    appender.result = new PromhiveError('UNAVAILABLE', 'shutting down')
    expect(await receiver.receive(v2, compressed(encodeV2(series)))).toEqual({
      ...written(0),
      status: 503,
      message: 'shutting down',
      retryAfterSeconds: 5,
    })
  })

  it('refuses references outside of the symbols', async () => {
    const { receiver } = open()
    const request = (refs: number[], metadata: [number, number] | null = null): Uint8Array => {
      const w = new ProtoWriter()
      for (const symbol of ['', '__name__', 'up']) {
        w.uvarint(34)
        w.text(symbol)
      }
      w.message(5, () => {
        w.packedUint32(1, refs)
        w.message(2, () => w.int64(2, nowMs))
        if (metadata !== null) {
          w.message(5, () => {
            w.int64(3, metadata[0])
            w.int64(4, metadata[1])
          })
        }
      })
      return compressed(w.written())
    }
    const rows: [Uint8Array, string][] = [
      [request([1, 2, 1]), 'parsing labels for series [1 2 1]: invalid labelRefs length 3'],
      [request([1, 3]), 'parsing labels for series [1 3]: labelRefs 1 (name) = 3 (value) outside of symbols table (size 3)'],
      [
        request([4_294_967_295, 2]),
        'parsing labels for series [4294967295 2]: labelRefs 4294967295 (name) = 2 (value) outside of symbols table (size 3)',
      ],
      [request([1, 2], [0, 7]), 'parsing metadata for series [1 2]: metadata unit_ref 7 outside of symbols table (size 3)'],
      [request([1, 2], [9, 0]), 'parsing metadata for series [1 2]: metadata help_ref 9 outside of symbols table (size 3)'],
    ]
    for (const [body, message] of rows) expect(await receiver.receive(v2, body)).toMatchObject({ status: 400, message })
    expect(await receiver.receive(v2, request([1, 2]))).toEqual(written(1))
  })

  it('adds type and unit labels where it is asked to', async () => {
    const { receiver, appender } = open({ typeAndUnitLabels: true })
    const labels = [...up.labels, ['__type__', 'wrong'], ['__unit__', 'wrong']] as const
    const series: WireSeries[] = [
      { ...up, metadata: { type: 1, help: '', unit: 'bytes' } },
      { ...up, labels, metadata: { type: 2, help: '', unit: '' } },
      { ...up, metadata: { type: 0, help: '', unit: '' } },
    ]
    for (let round = 0; round < 2; round++) expect(await receiver.receive(v2, compressed(encodeV2(series)))).toEqual(written(3))
    expect(appender.series.map(printLabels)).toEqual([
      '{__name__="up", __type__="counter", __unit__="bytes", job="a"}',
      '{__name__="up", __type__="gauge", job="a"}',
      '{__name__="up", job="a"}',
    ])
  })

  it('puts zeros at start timestamps where it is asked to, and does not mind their refusal', async () => {
    const { receiver, appender } = open({ startTimestampZeros: true })
    const series = [{ ...up, startTimeMs: nowMs - 1_000 }]
    expect(await receiver.receive(v2, compressed(encodeV2(series)))).toEqual(written(1))
    expect(appender.samples).toEqual([`{__name__="up", job="a"} 0 @${nowMs - 1000}`, `{__name__="up", job="a"} 1 @${nowMs}`])
  })
})

describe('which messages are taken', () => {
  const rows: readonly (readonly [type: string, encoding: string, expected: string | [number, RegExp]])[] = [
    ['', '', v1],
    ['application/x-protobuf', 'snappy', v1],
    ['application/x-protobuf;proto=prometheus.WriteRequest', 'snappy', v1],
    ['application/x-protobuf;proto=io.prometheus.write.v2.Request', 'snappy', v2],
    ['application/x-protobuf; proto=io.prometheus.write.v2.Request', 'snappy', v2],
    [
      'application/json',
      'snappy',
      [415, /expected application\/x-protobuf as the first \(media\) part, got application\/json content-type/],
    ],
    [
      'application/x-protobuf;proto=yolo',
      'snappy',
      [415, /unknown type for remote write protobuf message yolo, supported: prometheus\.WriteRequest, io/],
    ],
    ['application/x-protobuf;yolo', 'snappy', [415, /expected parameters to be key-values, got yolo/]],
    ['application/x-protobuf', 'zstd', [415, /zstd encoding \(compression\) is not accepted by this server; only snappy is acceptable/]],
  ]
  for (const [type, encoding, expected] of rows) {
    it(`${JSON.stringify(type)} as ${JSON.stringify(encoding)}`, () => {
      const taken = open().receiver.accept(type, encoding)
      if (typeof expected === 'string') expect(taken).toBe(expected)
      else expect(taken).toMatchObject({ status: expected[0], message: expect.stringMatching(expected[1]) as string })
    })
  }
  it('refuses a version that is switched off', () => {
    const { receiver } = open({ accepted: [v1] })
    expect(receiver.accept(`application/x-protobuf;proto=${v2}`, 'snappy')).toMatchObject({
      status: 415,
      message: `${v2} protobuf message is not accepted by this server; only accepts ${v1}`,
    })
  })
})
