// Our own HTTP client against servers that misbehave, and against undici on answers cut into pieces at random.
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { request as undiciRequest } from 'undici'
import { afterAll, describe, expect, it } from 'vitest'
import { seededRng, type Rng } from '../../../src/base/rng.ts'
import { defaultHttpClientOptions } from '../../../src/model/http-options.ts'
import { BodyBuffer } from '../../../src/ports/body-buffer.ts'
import type { HttpAnswer, HttpClient, HttpRequest } from '../../../src/ports/http.ts'
import { AnswerReader } from '../../../src/ports/node/http-answer.ts'
import { nodeHttp } from '../../../src/ports/node/http.ts'

const ends: (() => unknown)[] = []
afterAll(() => Promise.all(ends.map((end) => end())))

/** A server that hands every connection, and every piece that arrives, to `talk`. */
async function serve(
  talk: (socket: Socket, connection: number, request: number) => void,
  greet?: (socket: Socket) => void,
): Promise<string> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    const connection = sockets.size
    let requests = 0
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('data', () => talk(socket, connection, requests++))
    greet?.(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  ends.push(() => (sockets.forEach((socket) => socket.destroy()), server.close()))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/metrics`
}
function client(): HttpClient {
  const made = nodeHttp({ environment: {}, userAgent: 'test' }).client(defaultHttpClientOptions)
  ends.push(() => made.close())
  return made
}
const get = (from: HttpClient, url: string, request: Partial<HttpRequest> = {}): Promise<HttpAnswer> =>
  from.request({ method: 'GET', url, timeoutMs: 3000, bodyBytesMax: 100_000, ...request })
const text = (answer: HttpAnswer): string => Buffer.from(answer.body).toString()
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

describe('answers', () => {
  const ok = 'HTTP/1.1 200 OK\r\n'
  const chunked = ok + 'Transfer-Encoding: chunked\r\n\r\n'
  const transport = 'net/http: HTTP/1.x transport connection broken: '
  const rows: [what: string, answer: string, expected: string | RegExp | { code: string }][] = [
    ['Content-Length', ok + 'Content-Length: 2\r\n\r\nhi', 'hi'],
    ['an empty body', ok + 'Content-Length: 0\r\n\r\n', ''],
    ['no reason', 'HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nhi', 'hi'],
    ['lines that end in LF', 'HTTP/1.1 200 OK\nContent-Length: 2\n\nhi', 'hi'],
    ['a header continued on the next line', ok + 'X-Long: a\r\n  b\r\nContent-Length: 2\r\n\r\nhi', 'hi'],
    ['equal lengths twice', ok + 'Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi', 'hi'],
    [
      'interim answers',
      'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n' + ok + 'Content-Length: 2\r\n\r\nhi',
      'hi',
    ],
    ['chunks', chunked + '1\r\nh\r\n1;name="v"\r\ni\r\n0\r\n\r\n', 'hi'],
    ['chunks with leading zeros, blanks and trailers', chunked + '0002 \r\nhi\r\n0\r\nX-Trailer: 1\r\nY: 2\r\n\r\n', 'hi'],
    ['chunks and a length', ok + 'Content-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n', 'hi'],
    ['chunks in HTTP/1.0, which has none', 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2', '2'],
    ['a body until the end', ok + '\r\nuntil the end', 'until the end'],
    ['a status without a body', 'HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n', ''],
    ['more than Content-Length', ok + 'Content-Length: 2\r\n\r\nhi there', 'hi'],
    ['nothing', '', /: EOF$/],
    ['half a status line', 'HTTP/1.1 2', /: unexpected EOF$/],
    ['headers cut short', ok + 'Content-Le', /: unexpected EOF$/],
    ['a body cut short', ok + 'Content-Length: 20\r\n\r\nshort', /: unexpected EOF$/],
    ['chunks cut short', chunked + '5\r\nab', /: unexpected EOF$/],
    ['trailers cut short', chunked + '0\r\nX: 1\r\n', /: unexpected EOF$/],
    ['another protocol', 'SSH-2.0-OpenSSH\r\n', new RegExp(transport + 'malformed HTTP response "SSH-2\\.0-OpenSSH"$')],
    ['bytes without a line', '\x16\x03\x01\x02\x00', /malformed HTTP response "/],
    ['a version from nowhere', 'HTTP/x.1 200 OK\r\n\r\n', /malformed HTTP response "HTTP\/x\.1 200 OK"$/],
    ['a status that is no number', 'HTTP/1.1 abc OK\r\n\r\n', /malformed HTTP response/],
    ['a status that is none', 'HTTP/1.1 099 OK\r\n\r\n', /malformed HTTP response/],
    ['a switch of protocols', 'HTTP/1.1 101 Switching Protocols\r\n\r\n', /unexpected status 101/],
    ['a header without a colon', ok + 'nonsense\r\n\r\n', new RegExp(transport + 'malformed MIME header line: nonsense$')],
    ['a header without a name', ok + ': x\r\n\r\n', /malformed MIME header line: : x$/],
    ['a header with a blank in its name', ok + 'a b: x\r\n\r\n', /malformed MIME header line: a b: x$/],
    ['a header that continues nothing', ok + ' x\r\n\r\n', /malformed MIME header line/],
    ['a header with a NUL', ok + 'a: x\0y\r\n\r\n', /malformed MIME header line/],
    ['endless headers', ok + 'X: 1\r\n'.repeat(20_000), /server response headers exceeded the limit$/],
    ['an endless header', ok + 'X: ' + 'x'.repeat(70_000), /server response headers exceeded the limit$/],
    ['too many headers', ok + 'X: 1\r\n'.repeat(1001) + '\r\n', /server response headers exceeded the limit$/],
    ['endless interim answers', 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(5000), /server response headers exceeded the limit$/],
    ['a length that is no number', ok + 'Content-Length: 1x\r\n\r\n', /bad Content-Length "1x"$/],
    ['a negative length', ok + 'Content-Length: -1\r\n\r\n', /bad Content-Length "-1"$/],
    ['two lengths', ok + 'Content-Length: 1\r\nContent-Length: 2\r\n\r\n', /multiple Content-Length headers/],
    ['a huge length', ok + 'Content-Length: 9999999999999999999\r\n\r\n', { code: 'TOO_LARGE' }],
    ['a body over the limit, announced', ok + 'Content-Length: 100001\r\n\r\n', { code: 'TOO_LARGE' }],
    ['a body over the limit, not announced', ok + '\r\n' + 'x'.repeat(100_001), { code: 'TOO_LARGE' }],
    ['a chunk over the limit', chunked + '186a1\r\n', { code: 'TOO_LARGE' }],
    ['chunks over the limit', chunked + ('4000\r\n' + 'x'.repeat(0x4000) + '\r\n').repeat(7), { code: 'TOO_LARGE' }],
    ['an unknown encoding', ok + 'Transfer-Encoding: gzip, chunked\r\n\r\n', /unsupported transfer encoding: "gzip, chunked"$/],
    ['a chunk size that is none', chunked + 'xyz\r\n', new RegExp(transport + 'invalid byte in chunk length$')],
    ['a chunk without a size', chunked + ';a=b\r\n', /empty hex number for chunk length$/],
    ['a chunk size beyond all numbers', chunked + 'f'.repeat(17) + '\r\n', /http chunk length too large$/],
    ['a chunk size of 16 digits', chunked + 'f'.repeat(16) + '\r\n', { code: 'TOO_LARGE' }],
    ['a chunk longer than it says', chunked + '2\r\nabc\r\n', /malformed chunked encoding$/],
    ['a chunk line that ends in LF', chunked + '2\nhi\r\n', /chunked line ends with bare LF$/],
    ['an endless chunk line', chunked + '2;' + 'x'.repeat(5000), /header line too long$/],
    ['chunks that are mostly lines', chunked + `1;${'x'.repeat(4000)}\r\na\r\n`.repeat(10), /chunked encoding contains too much non-data$/],
    ['endless trailers', chunked + '0\r\n' + 'X: 1\r\n'.repeat(20_000), /suspiciously long trailer/],
    ['gzip that is none', ok + 'Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnone', /gzip: incorrect header check$/],
    [
      'gzip cut short',
      ok + 'Content-Encoding: gzip\r\nContent-Length: 10\r\n\r\n\x1f\x8b\x08\0\0\0\0\0\0\x03',
      /gzip: unexpected end of file$/,
    ],
  ]
  it.each(rows)('%s', async (_, answer, expected) => {
    const bytes = Buffer.from(answer, 'latin1')
    const whole = await serve((socket) => socket.end(bytes))
    // the same in pieces: every fourth byte for the first hundred, the rest at once
    const pieces = await serve((socket) => {
      socket.setNoDelay(true)
      for (let i = 0; i < Math.min(100, bytes.length); i += 4) socket.write(bytes.subarray(i, Math.min(i + 4, 100)))
      socket.end(bytes.subarray(100))
    })
    for (const url of [whole, pieces]) {
      const asked = get(client(), url)
      if (typeof expected === 'string') expect(text(await asked)).toBe(expected)
      else if (expected instanceof RegExp) await expect(asked).rejects.toThrow(expected)
      else await expect(asked).rejects.toMatchObject(expected)
    }
  })

  it('headers: lower case, joined, trimmed, UTF-8, no prototype', async () => {
    const url = await serve((socket) =>
      socket.end(
        Buffer.from(
          `${ok}X-A:  one \t\r\nx-a: two\r\nconstructor: c\r\n__proto__: p\r\nX-U: grün\r\nX-Empty:\r\nContent-Length: 0\r\n\r\n`,
        ),
      ),
    )
    const { headers } = await get(client(), url)
    expect(headers['x-a']).toBe('one, two')
    expect(headers['constructor']).toBe('c')
    expect(headers['x-u']).toBe('grün')
    expect(headers['x-empty']).toBe('')
    expect(headers['tostring']).toBeUndefined()
  })
})

describe('time', () => {
  const drip = (bytes: string): ((socket: Socket) => void) => {
    return (socket) => {
      let at = 0
      const timer = setInterval(() => void socket.write(bytes[at++ % bytes.length]!), 5)
      socket.on('close', () => clearInterval(timer))
    }
  }
  const silent: [string, (socket: Socket) => void, RegExp][] = [
    ['never answers', () => {}, /^Get "[^"]+": context deadline exceeded$/],
    ['drips its headers', drip('HTTP/1.1 200 OK\r\nX: ' + 'x'.repeat(1000)), /^Get "[^"]+": context deadline exceeded$/],
    ['drips its body', (socket: Socket) => (socket.write('HTTP/1.1 200 OK\r\n\r\n'), drip('x')(socket)), /^context deadline exceeded$/],
    [
      'waits in the middle of a chunk',
      (socket: Socket) => void socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\na'),
      /^context deadline exceeded$/,
    ],
  ]
  it.each(silent)('a server that %s', async (_, talk, message) => {
    let closed = 0
    const url = await serve((socket) => (socket.on('close', () => closed++), talk(socket)))
    await expect(get(client(), url, { timeoutMs: 80 })).rejects.toMatchObject({
      code: 'QUERY_TIMEOUT',
      message: expect.stringMatching(message) as string,
    })
    await sleep(30)
    expect(closed).toBe(1)
  })

  it('given up by the caller, before and in the middle', async () => {
    const url = await serve((socket) => void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab'))
    await expect(get(client(), url, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'QUERY_CANCELED' })
    const abort = new AbortController()
    const asked = get(client(), url, { signal: abort.signal })
    setTimeout(() => abort.abort(), 30)
    await expect(asked).rejects.toMatchObject({ code: 'QUERY_CANCELED', message: 'context canceled' })
  })

  it('a buffer given up in the middle takes the next body from its start', async () => {
    const into = new BodyBuffer()
    const slow = await serve((socket) => void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab'))
    await expect(get(client(), slow, { timeoutMs: 50, into })).rejects.toThrow()
    const quick = await serve((socket) => void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'))
    expect(text(await get(client(), quick, { into }))).toBe('ok')
  })
})

describe('connections', () => {
  const answer = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
  /** Three requests, one after the other; which connection and request of it each one met. */
  const three = async (headers: string, spoil: (socket: Socket, request: number) => void = () => {}, pauseMs = 0): Promise<string[]> => {
    const met: string[] = []
    const url = await serve((socket, connection, request) => {
      met.push(`${connection}.${request}`)
      socket.write(answer.replace('\r\n', `\r\n${headers}`))
      spoil(socket, request)
    })
    const from = client()
    for (let i = 0; i < 3; i++) {
      expect(text(await get(from, url))).toBe('ok')
      if (pauseMs > 0) await sleep(pauseMs)
    }
    return met
  }
  it('are used again', async () => expect(await three('')).toEqual(['0.0', '0.1', '0.2']))
  it('are not where the server says so', async () => expect(await three('Connection: close\r\n')).toEqual(['0.0', '1.0', '2.0']))
  it('are not where the server soon ends them', async () =>
    expect(await three('Keep-Alive: timeout=1, max=5\r\n')).toEqual(['0.0', '1.0', '2.0']))
  it('are not where more came than was asked for', async () =>
    expect(await three('', (socket) => socket.write('surplus'), 20)).toEqual(['0.0', '1.0', '2.0']))
  it('that ended while idle are forgotten', async () =>
    expect(await three('', (socket) => socket.end(), 20)).toEqual(['0.0', '1.0', '2.0']))
  it('of HTTP/1.0 only where it says so', async () => {
    const met: number[] = []
    for (const headers of ['', 'Connection: Keep-Alive\r\n']) {
      const url = await serve(
        (socket, connection) => (met.push(connection), socket.write(answer.replace('1.1', '1.0').replace('\r\n', `\r\n${headers}`))),
      )
      const from = client()
      for (let i = 0; i < 2; i++) await get(from, url)
    }
    expect(met).toEqual([0, 1, 0, 0])
  })

  it('closed under our feet: once more, on a new one; not twice', async () => {
    const met: string[] = []
    const url = await serve((socket, connection, request) => {
      met.push(`${connection}.${request}`)
      if (request > 0 || connection > 2) socket.destroy()
      else socket.write(answer)
    })
    const from = client()
    // three connections at once, all idle afterwards
    await Promise.all([get(from, url), get(from, url), get(from, url)])
    met.length = 0
    await expect(get(from, url)).rejects.toThrow(/EOF|connection reset by peer/)
    expect(met).toHaveLength(2)
    expect(met[1]).toBe('3.0')
  })

  it('closed in the middle of an answer: no second try', async () => {
    let requests = 0
    const url = await serve((socket) => (++requests === 1 ? socket.write(answer) : socket.end('HTTP/1.1 20')))
    const from = client()
    await get(from, url)
    await expect(get(from, url)).rejects.toThrow('unexpected EOF')
    expect(requests).toBe(2)
  })

  it('that answer before they are asked', async () => {
    const url = await serve(
      () => {},
      (socket) => void socket.write(answer),
    )
    // to the client the answer of a quick server: taken; what it isn't asked for later ends the connection
    expect(text(await get(client(), url))).toBe('ok')
  })

  it('refuse requests once the client is closed, and let those under way finish', async () => {
    const url = await serve((socket) => void setTimeout(() => socket.write(answer), 50))
    const from = client()
    const asked = get(from, url)
    await sleep(20)
    const closed = from.close()
    await expect(get(from, url)).rejects.toThrow('http: client closed')
    expect(text(await asked)).toBe('ok')
    await closed
  })

  it('many at once', async () => {
    const body = 'metric 1\n'.repeat(3000)
    const url = await serve(
      (socket, connection) => void socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\nX-C: ${connection}\r\n\r\n${body}`),
    )
    const from = client()
    const answers = await Promise.all(Array.from({ length: 50 }, () => get(from, url)))
    expect(answers.every((each) => text(each) === body)).toBe(true)
    expect(new Set(answers.map(({ headers }) => headers['x-c'])).size).toBe(50)
  })
})

describe('random answers in random pieces', () => {
  const pick = <T>(rng: Rng, all: readonly T[]): T => all[Math.floor(rng.next() * all.length)]!
  const word = (rng: Rng): string =>
    Array.from({ length: 1 + Math.floor(rng.next() * 12) }, () => pick(rng, 'abcXYZ-09'.split(''))).join('')

  /** A well-formed answer as bytes, ended by the end of the connection or not. */
  function answer(rng: Rng): { bytes: Buffer; ends: boolean } {
    let head = rng.chance(0.2) ? 'HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n' : ''
    head += `HTTP/1.1 ${pick(rng, [200, 200, 201, 400, 404, 500, 503])} ${pick(rng, ['OK', 'Not so OK', 'x'])}\r\n`
    for (let i = Math.floor(rng.next() * 6); i > 0; i--) {
      const name = `X-${word(rng)}`
      for (let j = rng.chance(0.2) ? 3 : 1; j > 0; j--)
        head += `${name}:${pick(rng, ['', ' ', '  \t'])}${word(rng)}${pick(rng, ['', ' '])}\r\n`
    }
    const body = Buffer.from(Array.from({ length: Math.floor(rng.next() ** 3 * 5000) }, () => Math.floor(rng.next() * 256)))
    const framing = pick(rng, ['length', 'chunks', 'end'])
    if (framing === 'length')
      return { bytes: Buffer.concat([Buffer.from(`${head}Content-Length: ${body.length}\r\n\r\n`), body]), ends: rng.chance(0.5) }
    if (framing === 'end') return { bytes: Buffer.concat([Buffer.from(`${head}Connection: close\r\n\r\n`), body]), ends: true }
    const parts = [Buffer.from(`${head}Transfer-Encoding: ${pick(rng, ['chunked', 'Chunked'])}\r\n\r\n`)]
    for (let at = 0; at < body.length;) {
      const to = Math.min(body.length, at + 1 + Math.floor(rng.next() * 900))
      parts.push(Buffer.from(`${(to - at).toString(16)}${pick(rng, ['', ';a', ';a=b'])}\r\n`), body.subarray(at, to), Buffer.from('\r\n'))
      at = to
    }
    parts.push(Buffer.from(pick(rng, ['0\r\n\r\n', '0\r\nX-T: 1\r\n\r\n'])))
    return { bytes: Buffer.concat(parts), ends: rng.chance(0.5) }
  }
  function pieces(rng: Rng, bytes: Buffer): Buffer[] {
    const out: Buffer[] = []
    const most = pick(rng, [3, 40, 2000])
    for (let at = 0; at < bytes.length;) {
      const to = Math.min(bytes.length, at + 1 + Math.floor(rng.next() * most))
      out.push(bytes.subarray(at, to))
      at = to
    }
    return out
  }

  it('are read the same in every cut', () => {
    const rng = seededRng(7)
    for (let round = 0; round < 400; round++) {
      const { bytes, ends: ended } = answer(rng)
      const read = (cuts: Buffer[]): unknown => {
        const reader = new AnswerReader(10_000, new BodyBuffer(), new BodyBuffer())
        let taken = 0
        for (const cut of cuts) if (!reader.done) taken += reader.feed(cut, cut.length)
        if (ended || !reader.done) reader.end()
        expect(reader.done).toBe(true)
        expect(taken).toBe(bytes.length)
        return {
          status: reader.status,
          headers: { ...reader.headers },
          keepAlive: reader.keepAlive,
          body: Buffer.from(reader.body.view()).toString('hex'),
        }
      }
      expect(read(pieces(rng, bytes))).toEqual(read([bytes]))
    }
  })

  it('are what undici makes of them', async () => {
    const rng = seededRng(11)
    let now: Buffer[] = []
    let ended = false
    const url = await serve((socket) => {
      socket.setNoDelay(true)
      const [mine, end] = [now, ended]
      let i = 0
      const next = (): void => {
        for (let j = 0; j < 20 && i < mine.length; j++) socket.write(mine[i++]!)
        if (i < mine.length) setImmediate(next)
        else if (end) socket.end()
      }
      next()
    })
    const from = client()
    for (let round = 0; round < 150; round++) {
      const { bytes, ends: last } = answer(rng)
      now = pieces(rng, bytes)
      ended = last
      const ours = await get(from, url)
      const theirs = await undiciRequest(url)
      const headers: Record<string, string> = {}
      // undici leaves blanks at the end of values
      for (const [name, value] of Object.entries(theirs.headers))
        headers[name] = [value]
          .flat()
          .map((one) => one!.trim())
          .join(', ')
      expect(ours.status).toBe(theirs.statusCode)
      expect({ ...ours.headers }).toEqual(headers)
      expect(Buffer.from(ours.body).equals(Buffer.from(await theirs.body.arrayBuffer()))).toBe(true)
    }
  })
})
