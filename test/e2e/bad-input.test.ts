// What comes from outside may be broken or hostile: each piece gets a clear refusal, and nobody else notices.
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Exporter, type Handler } from '../support/exporter.ts'
import { until } from '../support/processes.ts'
import { compressed, encodeV1, encodeV2 } from '../support/remote-write.ts'
import { ServerHome, type Server } from '../support/server.ts'

const intervalMs = 500
const text = 'text/plain; version=0.0.4'
const openMetrics = 'application/openmetrics-text; version=1.0.0'
const protobuf = 'application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited'

const answer = (contentType: string, body: string | Uint8Array, headers: Readonly<Record<string, string>> = {}): Handler => {
  return (_, response) => {
    response.setHeader('Content-Type', contentType)
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
    response.end(body)
  }
}
/** Sends a little now and then, for ever. */
const drip: Handler = (_, response) => {
  response.setHeader('Content-Type', text)
  const timer = setInterval(() => response.write('# drip\n'), 50)
  response.on('close', () => clearInterval(timer))
}
const drop: Handler = (_, response) => response.destroy()
const gzip = { 'Content-Encoding': 'gzip' }
const many = Array.from({ length: 500 }, (_, i) => `m{i="${i}"} ${i}\n`).join('')

type BadTarget = readonly [what: string, handler: Handler, options: string, error: RegExp]
const badTargets: readonly BadTarget[] = [
  // expositions
  ['an open brace', answer(text, 'good 1\nm{a="b" 1\n'), '', /expected label name while parsing: .*\(line 2, offset 15\)/],
  ['an open quote', answer(text, 'good 1\nm{a="b} 1\n'), '', /quoted text does not end.*\(line 2, offset 11\)/],
  ['no value', answer(text, 'good 1\nm\n'), '', /expected value after metric.*\(line 2, offset 8\)/],
  ['words for a value', answer(text, 'good 1\nm one\n'), '', /cannot parse "one" as a number.*\(line 2/],
  ['a broken timestamp', answer(text, 'good 1\nm 1 soon\n'), '', /expected timestamp or new record.*\(line 2/],
  ['broken UTF-8', answer(text, Buffer.from('good 1\nm{a="\xff\xfe"} 1\n', 'latin1')), '', /label value is not valid UTF-8.*\(line 2, offset 12\)/],
  ['a NUL', answer(text, 'good 1\nm\0 1\n'), '', /expected value after metric.*\(line 2/],
  ['a web page', answer(text, '<html><body>Hello</body></html>\n'), '', /expected a valid start token.*\(line 1, offset 0\)/],
  ['a web page that says so', answer('text/html', '<html></html>'), '', /unsupported Content-Type "text\/html" and no fallback_scrape_protocol/],
  ['nothing to say what it is', answer('', 'm 1\n'), '', /blank Content-Type and no fallback_scrape_protocol/],
  ['OpenMetrics without its end', answer(openMetrics, '# TYPE m gauge\nm 1\n'), '', /data does not end with # EOF/],
  ['OpenMetrics after its end', answer(openMetrics, 'm 1\n# EOF\nm 2\n'), '', /unexpected data after # EOF.*\(line 3/],
  ['broken OpenMetrics', answer(openMetrics, 'm{a=} 1\n# EOF\n'), '', /expected label value.*\(line 1, offset 4\)/],
  ['a broken exemplar', answer(openMetrics, 'm_total 1 # {a="b} 1\n# EOF\n'), '', /quoted text does not end.*\(line 1, offset 15\)/],
  ['protobuf that is none', answer(protobuf, 'hello world'), '', /cannot parse protobuf: message of 104 bytes, 10 left/],
  ['protobuf cut short', answer(protobuf, Uint8Array.of(200, 1, 10, 5, 65)), '', /cannot parse protobuf: message of 200 bytes, 3 left/],
  ['protobuf that claims gigabytes', answer(protobuf, Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x7f, 10)), '', /cannot parse protobuf: message of 34359738367 bytes, 1 left/],
  ['protobuf of groups in groups', answer(protobuf, new Uint8Array(5000).fill(0x1b)), '', /cannot parse protobuf: wrong wire type 3/],
  // limits
  ['more than body_size_limit', answer(text, many), 'body_size_limit: 1KB', /body size limit/i],
  ['more than body_size_limit when unpacked', answer(text, gzipSync(many), gzip), 'body_size_limit: 3KB', /body size limit/i],
  ['more than sample_limit', answer(text, many), 'sample_limit: 10', /sample limit/],
  ['more than label_limit', answer(text, 'm{a="1",b="2",c="3",d="4",e="5"} 1\n'), 'label_limit: 3', /label_limit/],
  ['a long label name', answer(text, `m{${'a'.repeat(80)}="1"} 1\n`), 'label_name_length_limit: 40', /label_name_length_limit/],
  ['a long label value', answer(text, `m{a="${'1'.repeat(99)}"} 1\n`), 'label_value_length_limit: 60', /label_value_length_limit/],
  ['a bomb', answer(text, gzipSync(Buffer.alloc(300 << 20, 'm 1\n')), gzip), '', /body size limit exceeded/],
  // HTTP
  ['broken gzip', answer(text, 'this is not gzip', gzip), '', /gzip|header/i],
  ['gzip cut short', answer(text, gzipSync(many).subarray(0, 200), gzip), '', /gzip|EOF|unexpected end/i],
  ['status 500', (_, response) => response.writeHead(500).end('m 1\n'), '', /server returned HTTP status 500/],
  ['status 404', (_, response) => response.writeHead(404).end(), '', /server returned HTTP status 404/],
  ['a redirect to itself', (_, response) => response.writeHead(302, { Location: '/metrics' }).end(), '', /stopped after 10 redirects/],
  ['a redirect to a file', (_, response) => response.writeHead(302, { Location: 'file:///etc/passwd' }).end(), '', /unsupported protocol scheme/],
  ['a hang-up', drop, '', /EOF|reset|closed|hang up/i],
  ['silence', () => {}, '', /deadline exceeded|timeout/i],
  ['a drip', drip, '', /deadline exceeded|timeout/i],
  ['less than it announced', (_, response) => (response.writeHead(200, { 'Content-Type': text, 'Content-Length': '100' }), response.write('m 1\n'), setTimeout(() => response.destroy(), 20)), '', /EOF|closed|reset|aborted|terminated/i],
] // prettier-ignore

const goodBody = (): string =>
  `# TYPE good_total counter\ngood_total 5\n${Array.from({ length: 50 }, (_, i) => `g{i="${i}"} ${i}\n`).join('')}`

let server: Server
let home: ServerHome
let good: Exporter
const exporters: Exporter[] = []
const rawServers: ReturnType<typeof createServer>[] = []
let startedMs = 0

/** Speaks no HTTP at all. */
async function rawTarget(speak: (socket: Socket) => void): Promise<string> {
  const raw = createServer((socket) => {
    socket.on('error', () => {})
    speak(socket)
  })
  await new Promise<void>((resolve) => raw.listen(0, '127.0.0.1', resolve))
  rawServers.push(raw)
  return `127.0.0.1:${(raw.address() as AddressInfo).port}`
}

const rawTargets: readonly (readonly [what: string, speak: (socket: Socket) => void, error: RegExp])[] = [
  ['noise', (socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n'), /malformed HTTP response "SSH-2.0/],
  ['an endless header', (socket) => socket.write(`HTTP/1.1 200 OK\r\nX: ${'a'.repeat(4 << 20)}`), /headers exceeded the limit/],
]

type ActiveTarget = Readonly<{ labels: Record<string, string>; health: string; lastError: string }>

beforeAll(async () => {
  good = await Exporter.text(goodBody)
  const jobs: string[] = []
  for (const [i, [, handler, options]] of badTargets.entries()) {
    const exporter = await Exporter.start(handler)
    exporters.push(exporter)
    jobs.push(`{ job_name: bad${i}, ${options === '' ? '' : `${options}, `}static_configs: [{ targets: ['${exporter.address}'] }] }`)
  }
  for (const [i, [, speak]] of rawTargets.entries()) {
    jobs.push(`{ job_name: raw${i}, static_configs: [{ targets: ['${await rawTarget(speak)}'] }] }`)
  }
  jobs.push(`{ job_name: refused, static_configs: [{ targets: ['127.0.0.1:1', 'no.such.host.invalid:80'] }] }`)
  jobs.push(`{ job_name: good, static_configs: [{ targets: ['${good.address}'] }] }`)
  home = new ServerHome({
    config: `
global: { scrape_interval: ${intervalMs}ms, scrape_timeout: 400ms }
scrape_configs:
${jobs.map((job) => `  - ${job}`).join('\n')}
`,
    flags: ['--web.enable-remote-write-receiver', '--query.timeout=5s', '--query.max-samples=200000'],
  })
  server = await home.start()
  await until('the good target is up', async () => (await server.value('up{job="good"}')) === 1)
  startedMs = Date.now()
})
afterAll(async () => {
  await server?.stop()
  for (const exporter of [good, ...exporters]) await exporter?.stop()
  for (const raw of rawServers) raw.close()
  home?.remove()
})

describe('bad targets', () => {
  let targets: Map<string, ActiveTarget>
  beforeAll(async () => {
    await until(
      'every target was scraped',
      async () => {
        const { activeTargets } = await server.api<{ activeTargets: ActiveTarget[] }>('targets', { state: 'active' })
        targets = new Map(activeTargets.map((target) => [target.labels['job']!, target]))
        return (
          activeTargets.length === badTargets.length + rawTargets.length + 3 && activeTargets.every(({ health }) => health !== 'unknown')
        )
      },
      20_000,
    )
  })
  const down = async (job: string, error: RegExp): Promise<void> => {
    const target = targets.get(job)!
    expect({ health: target.health, lastError: target.lastError }).toEqual({ health: 'down', lastError: expect.stringMatching(error) })
    expect(target.lastError.length).toBeLessThan(2000)
    expect(target.lastError).not.toMatch(/BUG|undefined|\[object/)
    // health is told at once, the sample is stored a little later
    const up = (): Promise<number | null> => server.value(`max(max_over_time(up{job="${job}"}[1m]))`)
    await until('its scrape is stored', async () => (await up()) !== null, 5_000)
    expect(await up()).toBe(0)
    // a scrape that fails leaves nothing but its report
    expect(await server.value(`count(last_over_time({job="${job}",__name__!~"up|scrape_.*"}[1m]))`)).toBeNull()
  }
  for (const [i, [what, , , error]] of badTargets.entries()) it(`answering with ${what}`, () => down(`bad${i}`, error))
  for (const [i, [what, , error]] of rawTargets.entries()) it(`answering with ${what}`, () => down(`raw${i}`, error))
  it('not answering', () => down('refused', /refused|no such host|ENOTFOUND|lookup/))
})

describe('bad remote writes', () => {
  const now = Date.now()
  const snappy = { 'Content-Encoding': 'snappy', 'Content-Type': 'application/x-protobuf' }
  const v2 = { ...snappy, 'Content-Type': 'application/x-protobuf;proto=io.prometheus.write.v2.Request' }
  const v1 = (labels: readonly (readonly [string, string])[], timeMs = now): Uint8Array =>
    compressed(encodeV1([{ labels, samples: [[1, timeMs]] }]))
  const rows: readonly (readonly [what: string, body: Uint8Array, headers: Record<string, string>, status: number, message: RegExp])[] = [
    ['nothing', new Uint8Array(0), snappy, 400, /snappy/],
    ['no snappy', Buffer.from('hello, this is text'), snappy, 400, /snappy/],
    ['snappy cut short', v1([['__name__', 'x']]).subarray(0, 9), snappy, 400, /snappy|proto/],
    ['snappy that claims 4 GiB', Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x0f, 0, 65), snappy, 400, /4294967295/],
    ['snappy that claims 100 MB of five bytes', Uint8Array.of(0x80, 0xc2, 0xd7, 0x2f, 0, 65), snappy, 400, /100000000|claims/],
    ['no protobuf', compressed(Buffer.from('hello, this is text')), snappy, 400, /proto/],
    ['protobuf cut short', compressed(encodeV1([{ labels: [['__name__', 'x']], samples: [[1, now]] }]).subarray(0, 10)), snappy, 400, /proto/],
    ['a length beyond the end', compressed(Uint8Array.of(0x0a, 0xff, 0xff, 0xff, 0x7f)), snappy, 400, /proto/],
    ['a symbol that is not there', compressed(Uint8Array.of(0x22, 0, 0x2a, 6, 0x0a, 2, 1, 9, 0x12, 0)), v2, 400, /symbol|label|index/i],
    ['half a label', compressed(Uint8Array.of(0x22, 0, 0x22, 1, 65, 0x2a, 3, 0x0a, 1, 1)), v2, 400, /label|symbol|odd/i],
    ['the past of a series', v1([['__name__', 'ordered']], now - 60_000), snappy, 400, /out of order/],
    ['another media type', v1([['__name__', 'x']]), { ...snappy, 'Content-Type': 'text/plain' }, 415, /text\/plain|content type/i],
    ['another message', v1([['__name__', 'x']]), { ...snappy, 'Content-Type': 'application/x-protobuf;proto=io.prometheus.write.v9.Request' }, 415, /v9/],
    ['another compression', v1([['__name__', 'x']]), { ...snappy, 'Content-Encoding': 'gzip' }, 415, /gzip/],
    ['33 MiB', new Uint8Array(33 << 20), snappy, 413, /limit/],
  ] // prettier-ignore

  const write = async (body: Uint8Array, headers: Record<string, string>): Promise<[number, string]> => {
    const response = await fetch(`${server.url}/api/v1/write`, { method: 'POST', headers, body: new Uint8Array(body) })
    return [response.status, await response.text()]
  }
  beforeAll(async () => expect(await write(v1([['__name__', 'ordered']]), snappy)).toEqual([204, '']))

  it.each(rows)('of %s', async (_, body, headers, status, message) => {
    const answered = await write(body, headers)
    expect(answered).toEqual([status, expect.stringMatching(message)])
    expect(answered[1].length).toBeLessThan(2000)
    expect(answered[1]).not.toMatch(/BUG|\n\s+at /)
  })

  const badLabels: readonly (readonly [what: string, labels: readonly (readonly [string, string])[], message: RegExp])[] = [
    ['no metric name', [['a', 'b']], /metric name/],
    ['no labels', [], /metric name/],
    ['an empty label name', [['', 'b'], ['__name__', 'bad']], /label/],
    ['a label twice', [['__name__', 'bad'], ['a', '1'], ['a', '2']], /duplicate/],
    ['an empty metric name', [['__name__', ''], ['a', 'bad']], /metric name/],
  ] // prettier-ignore
  it.each(badLabels)('of %s: version 2 is told, version 1 is not, as senders of each expect', async (_, labels, message) => {
    const series = [{ labels, samples: [[1, now]] }] as const
    expect(await write(compressed(encodeV2(series)), v2)).toEqual([400, expect.stringMatching(message)])
    expect(await write(compressed(encodeV1(series)), snappy)).toEqual([204, ''])
    expect(await server.value('count({a=~".+"} or {__name__="bad"} or {a="",b="b"})', now)).toBeNull()
  })

  it('of which a part is good: that part is stored', async () => {
    const mixed = [
      { labels: [['__name__', 'mixed'], ['ok', 'yes']], samples: [[7, now]] },
      { labels: [['ok', 'no']], samples: [[8, now]] },
    ] as const // prettier-ignore
    expect((await write(compressed(encodeV2(mixed)), v2))[0]).toBe(400)
    await until('the good part is there', async () => (await server.value('mixed', now)) === 7)
    expect(await server.value('count({ok="no"})', now)).toBeNull()
  })
})

describe('bad queries', () => {
  const nested = (depth: number): string => '('.repeat(depth) + 'up' + ')'.repeat(depth)
  const rows: readonly (readonly [what: string, path: string, parameters: Record<string, string>, status: number, message: RegExp])[] = [
    ['nothing', 'query', {}, 400, /query/],
    ['a syntax error', 'query', { query: 'up{' }, 400, /1:4: parse error/],
    ['a function nobody knows', 'query', { query: 'rat(up[5m])' }, 400, /unknown function/],
    ['a type error', 'query', { query: 'rate(up)' }, 400, /expected type range vector/],
    ['every series', 'query', { query: '{__name__=~".*"}' }, 400, /must contain at least one non-empty matcher/],
    ['a bad pattern', 'query', { query: 'up{job=~"("}' }, 400, /./],
    ['braces 100,000 deep', 'query', { query: nested(100_000) }, 400, /nest|deep|level/i],
    ['a chain of 100,000', 'query', { query: Array.from({ length: 100_000 }, () => 'up').join('+') }, 400, /nest|deep|level|long/i],
    ['2 MiB', 'query', { query: `up{job="${'x'.repeat(2 << 20)}"}` }, 400, /bytes|large|long|limit/i],
    ['too many samples', 'query', { query: 'count_over_time(up[1h:1ms])' }, 422, /too many samples/],
    ['too many pairs', 'query', { query: 'g * on () group_left () g' }, 422, /many-to-many|found duplicate series/],
    ['too many steps', 'query_range', { query: 'up', start: '0', end: '1e9', step: '1' }, 400, /exceeded maximum resolution of 11,000 points/],
    ['an end before the start', 'query_range', { query: 'up', start: '10', end: '5', step: '1' }, 400, /end timestamp must not be before start time/],
    ['no step', 'query_range', { query: 'up', start: '1', end: '2', step: '0' }, 400, /zero or negative query resolution step/],
    ['a step that is none', 'query_range', { query: 'up', start: '1', end: '2', step: 'x' }, 400, /"step"/],
    ['a time that is none', 'query', { query: 'up', time: 'today' }, 400, /"time"/],
    ['a bad timeout', 'query', { query: 'up', timeout: 'never' }, 400, /"timeout"/],
    ['series of nothing', 'series', {}, 400, /no match\[\] parameter provided/],
    ['series of a syntax error', 'series', { 'match[]': 'up{' }, 400, /"match\[\]".*parse error/s],
    ['values of a bad name', 'label/%ff/values', {}, 400, /./],
    ['a limit that is none', 'labels', { limit: '-1' }, 400, /limit/],
    ['a path that is none', 'nothing', {}, 404, /./],
  ] // prettier-ignore
  it.each(rows)('%s', async (_, path, parameters, status, message) => {
    // as a form: a query may be longer than a header line
    const init: RequestInit = path.startsWith('query') ? { method: 'POST', body: new URLSearchParams(parameters) } : {}
    const query = init.body === undefined ? `?${new URLSearchParams(parameters)}` : ''
    const response = await fetch(`${server.url}/api/v1/${path}${query}`, init)
    const body = await response.text()
    const error = status === 404 ? body : (JSON.parse(body) as { error?: string }).error
    expect({ status: response.status, error }).toEqual({ status, error: expect.stringMatching(message) })
    expect(body.length).toBeLessThan(5000)
    expect(body).not.toMatch(/BUG|RangeError|call stack|\\n\s+at /i)
  })

  it('a slow one ends at its timeout, and others are answered meanwhile', { timeout: 20_000 }, async () => {
    const started = performance.now()
    const slow = fetch(`${server.url}/api/v1/query_range`, {
      method: 'POST',
      body: new URLSearchParams({ query: 'sum(rate(g[30s:1s]))', start: '0', end: '10999', step: '1', timeout: '1ms' }),
    }).then(async (response) => [response.status, await response.text()] as const)
    expect(await server.value('up{job="good"}')).toBe(1)
    const [status, body] = await slow
    expect([status, body]).toEqual([503, expect.stringMatching(/timed out/)])
    expect(performance.now() - started).toBeLessThan(10_000)
  })
})

describe('bad HTTP', () => {
  const talk = (bytes: string, waitMs = 3000): Promise<string> =>
    new Promise((resolve) => {
      const { hostname, port } = new URL(server.url)
      let got = ''
      void import('node:net').then(({ connect }) => {
        const socket = connect(Number(port), hostname, () => socket.write(bytes))
        const end = (): void => {
          socket.destroy()
          resolve(got)
        }
        socket.on('data', (chunk) => (got += chunk.toString())).on('close', end).on('error', end) // prettier-ignore
        setTimeout(end, waitMs).unref()
      })
    })
  it.each([
    ['noise', '\x16\x03\x01 hello\r\n\r\n', /^HTTP\/1\.1 400 /],
    ['no host', 'GET /-/ready HTTP/1.1\r\n\r\n', /^HTTP\/1\.1 400 /],
    ['a large header', `GET / HTTP/1.1\r\nHost: x\r\nX: ${'a'.repeat(1 << 20)}\r\n\r\n`, /^(HTTP\/1\.1 431 |$)/],
    ['a path out of the tree', 'GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n', /^HTTP\/1\.1 (404|301|302|400) /],
    ['two lengths', 'POST /api/v1/write HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', /^HTTP\/1\.1 400 /],
  ])('%s', async (_, bytes, expected) => expect(await talk(bytes)).toMatch(expected)) // prettier-ignore
})

it('through all of it nobody else lost anything', async () => {
  // ten slots at least, however quick the rest was
  await sleep(Math.max(5 * intervalMs, startedMs + 10 * intervalMs + 2000 - Date.now()))
  // what a scrape brought is to be seen within half a second of its end: look at what is older than that on any machine
  const endMs = Date.now() - 2000
  const range = `${endMs - startedMs}ms`
  const [up] = await server.samples(`up{job="good"}[${range}]`, endMs)
  const times = up!.values.map(([timeMs]) => timeMs)
  const good = up!.values.filter(([, value]) => value === 1)
  expect(good.length).toBeGreaterThan(6)
  // on its slots; few of them passed over or timed out, for the tests keep a small machine busy
  expect(times.filter((timeMs) => (timeMs - times[0]!) % intervalMs !== 0)).toEqual([])
  const slots = (times.at(-1)! - times[0]!) / intervalMs + 1
  expect(slots - good.length).toBeLessThanOrEqual(Math.max(2, slots / 10))
  const counts = await server.query(`count_over_time({job="good",__name__=~"g|good_total"}[${range}])`, endMs)
  expect(counts.length).toBe(51)
  // what was good is there in full, what was not is not
  for (const { value } of counts) expect(value).toBe(good.length)
  expect(await server.value('sum(g)')).toBe((49 * 50) / 2)
  expect(server.log).not.toMatch(/BUG|Unhandled|level=ERROR/)
  expect(await server.metric('process_resident_memory_bytes')).toBeLessThan(1 << 30)
  expect(await server.stop()).toBe(0)
})
