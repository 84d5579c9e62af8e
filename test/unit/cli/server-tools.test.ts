// `tool push metrics`, `tool query analyze` and `tool debug` against a server of a few lines.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { debug } from '../../../src/cli/tool/debug.ts'
import { pushMetrics, seriesOf, type PushOptions } from '../../../src/cli/tool/push-metrics.ts'
import { analyzeQuery } from '../../../src/cli/tool/query-analyze.ts'
import type { CheckIo } from '../../../src/cli/tool/check-io.ts'
import { silentLogger } from '../../../src/base/logger.ts'
import { MetricsRegistry } from '../../../src/base/metrics.ts'
import type { Http, HttpAnswer, HttpRequest } from '../../../src/ports/http.ts'
import { printSeries } from '../../../src/model/labels.ts'
import { encodeProfile, type PprofProfile } from '../../../protocols/pprof/profile.ts'
import { WriteReceiver, writeMessages } from '../../../protocols/remote/write-receiver.ts'
import { RecordingAppender } from '../../support/remote-write.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
type Given = Partial<Omit<HttpAnswer, 'body'>> & { body?: string | Uint8Array }

/** What is asked, and what the tool says: output, then `! ` and errors. */
function rig(answer: (request: HttpRequest, index: number) => Given | Promise<Given>) {
  const requests: HttpRequest[] = []
  const said: string[] = []
  const waits: number[] = []
  const http: Http = {
    client: () => ({
      async request(request) {
        requests.push(request)
        const { status = 200, headers = {}, body = '' } = await answer(request, requests.length - 1)
        const raw = typeof body === 'string' ? bytes(body) : body
        return { status, headers, body: raw, wireBytes: raw.length }
      },
      close: async () => {},
    }),
  }
  const io: CheckIo = {
    print: (line) => void said.push(line),
    printError: (line) => void said.push(`! ${line}`),
    readFile: () => '',
    glob: () => [],
    exists: () => true,
    readStdin: async () => bytes('a 1\n'),
  }
  const more = { http, nowMs: () => 5000, sleep: async (ms: number) => void waits.push(ms) }
  return { requests, said, waits, io: { ...io, ...more, readBytes: (path: string) => bytes(`${path} 2\n`) } }
}

describe('push metrics', () => {
  const series = (text: string, labels: Record<string, string> = { job: 'promtool' }): string[] =>
    seriesOf(bytes(text), labels, 5000).series.map((each) => `${printSeries(each.labels)} ${each.value} @${each.timeMs}`)
  it.each<[what: string, text: string, wanted: string[]]>([
    ['families by name, the time of the sample or now', 'b{z="1",a="2"} 3 77\na NaN\n', ['a{job="promtool"} NaN @5000', 'b{a="2", job="promtool", z="1"} 3 @77']],
    ['a job of its own is renamed', 'a{job="x"} 1\n', ['a{exported_job="x", job="promtool"} 1 @5000']],
    ['histograms: buckets, sum, count', '# TYPE h histogram\nh_sum 4\nh_count 5\nh_bucket{le="1.0"} 2\nh_bucket{le="+Inf"} 5\n', [
      'h_bucket{job="promtool", le="1"} 2 @5000', 'h_bucket{job="promtool", le="+Inf"} 5 @5000', 'h_sum{job="promtool"} 4 @5000', 'h_count{job="promtool"} 5 @5000',
    ]],
    ['a last bucket that is missing', '# TYPE h histogram\nh_count 5\nh_bucket{le="1"} 2\n', [
      'h_bucket{job="promtool", le="1"} 2 @5000', 'h_bucket{job="promtool", le="+Inf"} 5 @5000', 'h_sum{job="promtool"} 0 @5000', 'h_count{job="promtool"} 5 @5000',
    ]],
    ['summaries, each metric by itself', '# TYPE s summary\ns{q="a",quantile="0.5"} 1\ns_sum{q="b"} 2\ns_count{q="a"} 3\n', [
      's{job="promtool", q="a", quantile="0.5"} 1 @5000', 's_sum{job="promtool", q="a"} 0 @5000', 's_count{job="promtool", q="a"} 3 @5000',
      's_sum{job="promtool", q="b"} 2 @5000', 's_count{job="promtool", q="b"} 0 @5000',
    ]],
    ['names that only look like parts', 'x_sum 1\n# TYPE y gauge\ny_count 2\n', ['x_sum{job="promtool"} 1 @5000', 'y_count{job="promtool"} 2 @5000']],
  ])('%s', (_, text, wanted) => expect(series(text)).toEqual(wanted)) // prettier-ignore

  const options: PushOptions = {
    url: 'http://p:1/base/', path: '/api/v1/write', protobufMessage: 'prometheus.WriteRequest', labels: { x: 'y' },
    headers: { 'X-Scope': 't' }, timeoutMs: 7, httpConfigFile: '',
  } // prettier-ignore

  it.each(['prometheus.WriteRequest', 'io.prometheus.write.v2.Request'])('is understood by the receiver: %s', async (protobufMessage) => {
    const appender = new RecordingAppender()
    const receiver = new WriteReceiver({
      appender, nowMs: () => 0, logger: silentLogger, metrics: new MetricsRegistry(), accepted: writeMessages,
      typeAndUnitLabels: false, startTimestampZeros: false, seed: 1,
    }) // prettier-ignore
    const { requests, said, io } = rig(async ({ headers, body }) => {
      const message = receiver.accept(headers!['Content-Type']!, headers!['Content-Encoding']!)
      if (typeof message !== 'string') throw new Error(message.message)
      const { status, written } = await receiver.receive(message, body!)
      return { status, headers: written === null ? {} : { 'x-prometheus-remote-write-samples-written': String(written.samples) } }
    })
    expect(await pushMetrics(['f', 'g'], { ...options, protobufMessage }, io), said.join('\n')).toBe(0)
    expect(said).toEqual(
      ['f', 'g'].flatMap((name) => [`Parsing metrics file ${name}`, `  SUCCESS: metrics file ${name} pushed to remote write.`]),
    )
    expect(requests[0]).toMatchObject({ method: 'POST', url: 'http://p:1/base/api/v1/write', timeoutMs: 7, headers: { 'X-Scope': 't', 'Content-Encoding': 'snappy' } }) // prettier-ignore
    expect(appender.samples).toEqual(['{__name__="f", x="y"} 2 @5000', '{__name__="g", x="y"} 2 @5000'])
  })

  it.each<[what: string, status: number, said: string, requests: number]>([
    ['a refusal is final', 400, '!   FAILED: server returned HTTP status 400 Bad Request: no', 1],
    ['what may pass is tried again', 503, '!   FAILED: server returned HTTP status 503 Service Unavailable: no', 11],
    ['so is a limit', 429, '!   FAILED: server returned HTTP status 429 Too Many Requests: no', 11],
  ])('%s', async (_, status, wanted, count) => {
    const { requests, said, waits, io } = rig(() => ({ status, body: 'no', headers: { 'retry-after': '2' } }))
    expect(await pushMetrics([], options, io)).toBe(1)
    expect(said).toEqual(['Parsing standard input', wanted])
    expect(requests).toHaveLength(count)
    expect(waits.slice(0, 5)).toEqual(count === 1 ? [] : [3000, 4000, 6000, 10_000, 12_000])
    expect(requests.at(-1)!.headers!['Retry-Attempt']).toBe(count === 1 ? undefined : '10')
  })

  it('says what is wrong with what it was given', async () => {
    const { said, io } = rig(() => ({}))
    expect(await pushMetrics([], { ...options, protobufMessage: 'x' }, io)).toBe(1)
    expect(await pushMetrics(['bad{', 'good'], options, io)).toBe(1)
    expect(await pushMetrics([], { ...options, protobufMessage: 'io.prometheus.write.v2.Request' }, io)).toBe(1)
    expect(said[0]).toBe('!   FAILED: invalid protobuf message "x", must be prometheus.WriteRequest or io.prometheus.write.v2.Request')
    expect(said[2]).toMatch(/^! {3}FAILED: .*line 1/)
    expect(said[4]).toBe('  SUCCESS: metrics file good pushed to remote write.')
    expect(said[6]).toMatch(/FAILED: sent v2 request; got 2xx/)
  })
})

describe('query analyze', () => {
  it('counts populated buckets of classic and native histograms', async () => {
    const bucket = (le: string, values: number[]): unknown => ({
      metric: { __name__: 'h_bucket', le, a: 'b' },
      values: values.map((value, i) => [i * 10, String(value)]),
    })
    const native = (counts: number[][]): unknown => ({
      metric: { __name__: 'n' },
      histograms: counts.map((bounds, i) => [
        i,
        { count: '1', sum: '1', buckets: bounds.map((at) => [0, String(at), String(at + 1), '1']) },
      ]),
    })
    const result = [bucket('+Inf', [5, 9]), bucket('1', [2, 2]), bucket('2', [2, 3]), native([[1, 2], [2, 3, 4]]), native([[1]])] // prettier-ignore
    const { requests, said, io } = rig(() => ({ body: JSON.stringify({ status: 'success', data: { resultType: 'matrix', result } }) }))
    const server = { url: 'http://p', httpConfigFile: '', headers: {} }
    expect(await analyzeQuery(server, { type: 'histogram', duration: '1h', time: '100', match: ['h'] }, io)).toBe(0)
    expect(new TextDecoder().decode(requests[0]!.body)).toBe('query=h%5B1h%5D&time=100')
    expect(said.slice(1)).toEqual([
      '- n (native): 2/2.500/3/4',
      '- h_bucket{a="b"} (classic): 2/2.500/3',
      '\nAggregated bucket stats\n-----------------------\nEach line shows min/avg/max over the series above.',
      '\nNative histogram series (1 in total):\n- min populated: 2/2.000/2\n- avg populated: 2/2.000/2\n- max populated: 3/3.000/3\n- total: 4/4.000/4',
      '\nClassic histogram series (1 in total):\n- min populated: 2/2.000/2\n- avg populated: 2/2.000/2\n- max populated: 3/3.000/3',
    ])
  })
  it.each([
    [{ type: 'counter' }, "! analyze type is counter, must be 'histogram'"],
    [{ time: 'x' }, /^! error parsing time 'x': cannot parse "x"/],
    [{}, '! query of buckets resulted in non-Matrix'],
  ])('%o is refused', async (given, wanted) => {
    const { said, io } = rig(() => ({ body: '{"status":"success","data":{"resultType":"vector","result":[]}}' }))
    const options = { type: 'histogram', duration: '1h', time: '', match: ['h'], ...given }
    expect(await analyzeQuery({ url: 'http://p', httpConfigFile: '', headers: {} }, options, io)).toBe(1)
    expect(said.at(-1)).toEqual(typeof wanted === 'string' ? wanted : expect.stringMatching(wanted))
  })
})

describe('debug', () => {
  const type = { type: 'cpu', unit: 'nanoseconds' }
  const profile: PprofProfile = { sampleTypes: [type], defaultType: 'cpu', periodType: type, period: 1, timeMs: 1, durationMs: 1, samples: [], comments: [] } // prettier-ignore
  const answer = ({ url }: HttpRequest): Given => ({ body: /pprof\/(?!trace)/.test(url) ? gzipSync(encodeProfile(profile)) : `${url}\n` })

  it('puts everything into one archive that tar reads', async () => {
    const { said, io } = rig(answer)
    const directory = mkdtempSync(join(tmpdir(), 'debug-'))
    try {
      expect(await debug('all', 'http://p:1', { ...io, write: (name, data) => writeFileSync(join(directory, name), data) })).toBe(0)
      const names = execFileSync('tar', ['tzf', join(directory, 'debug.tar.gz')], { encoding: 'utf8' }).trim().split('\n') // prettier-ignore
      const wanted = ['cpu', 'block', 'goroutine', 'heap', 'mutex', 'threadcreate', 'trace'].map((name) => `${name}.pb`)
      expect(names).toEqual([...wanted, 'metrics.txt'])
      execFileSync('tar', ['xzf', 'debug.tar.gz'], { cwd: directory })
      expect(readFileSync(join(directory, 'metrics.txt'), 'utf8')).toBe('http://p:1/metrics\n')
      expect(readFileSync(join(directory, 'heap.pb'))).toEqual(Buffer.from(gunzipSync(gzipSync(encodeProfile(profile)))))
    } finally {
      rmSync(directory, { recursive: true })
    }
    expect(said[0]).toBe('collecting: http://p:1/debug/pprof/profile?seconds=30')
    expect(said.at(-1)).toBe('Compiling debug information complete, all files written in "debug.tar.gz".')
  })
  it.each<[given: () => Given, wanted: RegExp]>([
    [() => ({ status: 404, body: 'not found' }), /^! error completing debug command: error post-processing HTTP response body: parsing profile: unrecognized profile format$/],
    [() => ({ body: '' }), /parsing profile: empty input file$/],
    [() => { throw new Error('no way') }, /^! error completing debug command: error executing HTTP request: no way$/],
  ])('%#: is no profile', async (given, wanted) => {
    const { said, io } = rig(given)
    expect(await debug('pprof', 'http://p:1', { ...io, write: () => expect.unreachable() })).toBe(1)
    expect(said.at(-1)).toMatch(wanted)
  }) // prettier-ignore
})
