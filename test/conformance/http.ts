// The contract of the Http port, run by every adapter.
import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { defaultHttpClientOptions, type HttpClientOptions } from '../../src/model/http-options.ts'
import { BodyMemory } from '../../src/ports/body-buffer.ts'
import type { Http, HttpAnswer, HttpRequest } from '../../src/ports/http.ts'

export type Seen = Readonly<{ method: string; path: string; headers: Readonly<Record<string, string>>; body: string }>
export type Reply = Readonly<{ status?: number; headers?: Readonly<Record<string, string>>; body?: string | Uint8Array }>
export interface HttpWorld {
  http: Http
  /** Starts a host; its origin, e.g. http://127.0.0.1:1234. Two calls give two host names. A handler that returns null never answers. */
  serve(handler: (seen: Seen) => Reply | null): Promise<string>
  /** An origin where nobody listens. */
  deadOrigin: string
  /** Lets time pass, where it is virtual, until the promise settles. */
  run<T>(promise: Promise<T>): Promise<T>
  close(): Promise<void>
}

const text = (answer: HttpAnswer): string => Buffer.from(answer.body).toString()

export function httpConformance(name: string, open: () => Promise<HttpWorld>): void {
  describe(`http: ${name}`, () => {
    /** Opens a world with one host and asks it one thing. */
    async function ask(
      handler: (seen: Seen) => Reply | null,
      request: Partial<HttpRequest> = {},
      options: Partial<HttpClientOptions> = {},
    ): Promise<HttpAnswer> {
      const world = await open()
      try {
        const origin = await world.serve(handler)
        const client = world.http.client({ ...defaultHttpClientOptions, ...options })
        return await world.run(
          client.request({ method: 'GET', timeoutMs: 2000, bodyBytesMax: 0, ...request, url: origin + (request.url ?? '/metrics') }),
        )
      } finally {
        await world.close()
      }
    }

    it('gives status, headers in lower case and the body', async () => {
      const answer = await ask((seen) => ({ status: 418, headers: { 'X-Case': 'Kept' }, body: `${seen.method} ${seen.path}` }), {
        url: '/a?b=c%20d',
      })
      expect(answer.status).toBe(418)
      expect(answer.headers['x-case']).toBe('Kept')
      expect(text(answer)).toBe('GET /a?b=c%20d')
      expect(answer.wireBytes).toBe(14)
    })

    it('sends headers and body', async () => {
      const answer = await ask((seen) => ({ body: `${seen.method} ${seen.headers['x-a']} ${seen.body}` }), {
        method: 'POST',
        headers: { 'X-A': 'b' },
        body: Buffer.from('hello'),
      })
      expect(text(answer)).toBe('POST b hello')
    })

    it('accepts gzip and hands out the plain body', async () => {
      const plain = 'metric 1\n'.repeat(5000)
      const gzip = (seen: Seen): Reply =>
        seen.headers['accept-encoding'] === 'gzip' ? { headers: { 'content-encoding': 'gzip' }, body: gzipSync(plain) } : { body: plain }
      const packed = await ask(gzip)
      expect(text(packed)).toBe(plain)
      expect(packed.wireBytes).toBeLessThan(1000)
      const unpacked = await ask(gzip, { compression: false })
      expect(text(unpacked)).toBe(plain)
      expect(unpacked.wireBytes).toBe(plain.length)
    })

    it.each(['GET', 'POST'] as const)('writes the body of a %s where the caller says, plain or gzip', async (method) => {
      const into = new BodyMemory().buffer()
      for (const plain of ['metric 1\n'.repeat(5000), 'short', 'metric 2\n'.repeat(20_000), '']) {
        for (const gzip of [false, true]) {
          const answer = await ask(() => (gzip ? { headers: { 'content-encoding': 'gzip' }, body: gzipSync(plain) } : { body: plain }), {
            method,
            into,
          })
          expect(text(answer) === plain).toBe(true)
          expect(answer.body.buffer).toBe(into.bytes.buffer)
          expect(into.length).toBe(plain.length)
        }
      }
      await expect(ask(() => ({ body: 'x'.repeat(100) }), { method, into, bodyBytesMax: 50 })).rejects.toMatchObject({ code: 'TOO_LARGE' })
      expect(text(await ask(() => ({ body: 'after' }), { method, into }))).toBe('after')
    })

    it('asks again and again with the same headers, each time what the request says', async () => {
      const world = await open()
      const origin = await world.serve((seen) =>
        seen.path === '/moved'
          ? { status: 302, headers: { location: '/to' } }
          : { body: `${seen.path} ${seen.headers['accept-encoding']}` },
      )
      const client = world.http.client(defaultHttpClientOptions)
      const headers = { 'x-a': 'b' }
      const get = async (path: string, compression: boolean): Promise<string> =>
        text(await world.run(client.request({ method: 'GET', url: origin + path, headers, compression, timeoutMs: 2000, bodyBytesMax: 0 })))
      for (let i = 0; i < 3; i++) {
        expect(await get('/a?b', true)).toBe('/a?b gzip')
        expect(await get('/a?b', false)).toBe('/a?b undefined')
        expect(await get('/moved', true)).toBe('/to gzip')
        expect(await get('/c', true)).toBe('/c gzip')
      }
      await world.close()
    })

    it('ends with TOO_LARGE where the body is over the limit, plain or compressed', async () => {
      const body = 'x'.repeat(10_001)
      const limit = { bodyBytesMax: 10_000 }
      await expect(ask(() => ({ body }), limit)).rejects.toMatchObject({ code: 'TOO_LARGE', message: 'body size limit exceeded' })
      await expect(ask(() => ({ headers: { 'content-encoding': 'gzip' }, body: gzipSync(body) }), limit)).rejects.toMatchObject({
        code: 'TOO_LARGE',
      })
      expect((await ask(() => ({ body }), { bodyBytesMax: 10_001 })).body.length).toBe(10_001)
    })

    it('ends with QUERY_TIMEOUT where nobody answers in time', async () => {
      await expect(ask(() => null, { timeoutMs: 50 })).rejects.toMatchObject({
        code: 'QUERY_TIMEOUT',
        message: expect.stringMatching(/^Get "http:\/\/[^"]+\/metrics": context deadline exceeded$/) as string,
      })
    })

    it('ends with QUERY_CANCELED where the caller gives up', async () => {
      const abort = new AbortController()
      const handler = (): null => (abort.abort(), null)
      await expect(ask(handler, { signal: abort.signal })).rejects.toMatchObject({
        code: 'QUERY_CANCELED',
        message: expect.stringContaining('context canceled') as string,
      })
    })

    it('ends with UNAVAILABLE where nobody listens', async () => {
      const world = await open()
      const client = world.http.client(defaultHttpClientOptions)
      const asked = world.run(client.request({ method: 'GET', url: world.deadOrigin, timeoutMs: 2000, bodyBytesMax: 0 }))
      await expect(asked).rejects.toMatchObject({
        code: 'UNAVAILABLE',
        message: expect.stringMatching(/^Get "[^"]+": dial tcp .+: connect: connection refused$/) as string,
      })
      await world.close()
    })

    it.each([
      [301, 'POST', 'GET '],
      [302, 'POST', 'GET '],
      [303, 'PUT', 'GET '],
      [307, 'POST', 'POST body'],
      [308, 'PUT', 'PUT body'],
    ] as const)('follows a %i of a %s as Go does', async (status, method, expected) => {
      const handler = (seen: Seen): Reply =>
        seen.path === '/metrics' ? { status, headers: { location: '/moved' } } : { body: `${seen.method} ${seen.body}` }
      expect(text(await ask(handler, { method, body: Buffer.from('body') }))).toBe(expected)
    })

    it('stops after 10 redirects, and follows none where told so', async () => {
      const loop = (): Reply => ({ status: 302, headers: { location: '/again' } })
      await expect(ask(loop)).rejects.toMatchObject({
        code: 'UNAVAILABLE',
        message: expect.stringContaining('stopped after 10 redirects') as string,
      })
      expect((await ask(loop, {}, { followRedirects: false })).status).toBe(302)
    })

    const show = (seen: Seen): Reply => ({ body: `${seen.headers['authorization']} ${seen.headers['x-tenant']}` })
    it.each([
      ['basic_auth', { basicAuth: { username: 'u', usernameFile: '', password: 'p', passwordFile: '' } }, 'Basic dTpw undefined'],
      ['authorization', { authorization: { type: 'Token', credentials: 'c', credentialsFile: '' } }, 'Token c undefined'],
      ['http_headers', { httpHeaders: { 'X-Tenant': { values: ['a'], secrets: ['b'], files: [] } } }, 'undefined a, b'],
    ] as const)('sends %s', async (_, options, expected) => {
      expect(text(await ask(show, {}, options))).toBe(expected)
      const own = await ask(show, { headers: { authorization: 'Own' } }, options)
      expect(text(own)).toMatch(/^Own /)
    })

    it('keeps credentials to the host they are for', async () => {
      const world = await open()
      const elsewhere = await world.serve(show)
      const start = await world.serve((seen) => ({ status: 302, headers: { location: seen.path === '/away' ? elsewhere : '/home' } }))
      const home = await world.serve((seen) => (seen.path === '/home' ? show(seen) : { status: 302, headers: { location: '/home' } }))
      const client = world.http.client({
        ...defaultHttpClientOptions,
        authorization: { type: 'Bearer', credentials: 's', credentialsFile: '' },
      })
      const get = (url: string): Promise<HttpAnswer> => world.run(client.request({ method: 'GET', url, timeoutMs: 2000, bodyBytesMax: 0 }))
      expect(text(await get(start + '/away'))).toMatch(/^undefined/)
      expect(text(await get(home + '/'))).toMatch(/^Bearer s/)
      await world.close()
    })

    it('refuses what is not http', async () => {
      const world = await open()
      const client = world.http.client(defaultHttpClientOptions)
      for (const url of ['ftp://a/', 'no url'])
        await expect(world.run(client.request({ method: 'GET', url, timeoutMs: 100, bodyBytesMax: 0 }))).rejects.toThrow()
      await world.close()
    })
  })
}
