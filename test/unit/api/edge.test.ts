// The edge itself: life cycle, readiness, CORS, compression, clients that go away, metrics, pages, bodies that are meant to hurt.
import { request } from 'node:http'
import { connect } from 'node:net'
import { gunzipSync, inflateSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { notices } from '../../../src/api/notifications.ts'
import { utf8Bytes } from '../../../src/base/bytes.ts'
import { PromhiveError } from '../../../src/base/errors.ts'
import { startRig, withRig } from '../../support/fake-api-backend.ts'

/** Without fetch's own ideas of headers and decompression. */
function raw(
  url: string,
  options: { method?: string; headers?: Record<string, string>; body?: Uint8Array } = {},
): Promise<{ status: number; headers: Record<string, unknown>; body: Buffer }> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method: options.method ?? 'GET', headers: options.headers ?? {} }, (answer) => {
      const parts: Buffer[] = []
      answer.on('data', (part: Buffer) => parts.push(part))
      answer.on('end', () => resolve({ status: answer.statusCode!, headers: answer.headers, body: Buffer.concat(parts) }))
      answer.on('error', reject)
    })
    sent.on('error', reject)
    sent.end(options.body)
  })
}

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 500 && !condition(); i++) await new Promise((resolve) => setTimeout(resolve, 10))
  expect(condition()).toBe(true)
}

describe('life cycle', () => {
  it('is healthy at once, ready later, and says when it is stopping', () =>
    withRig({}, async ({ backend, url }) => {
      const ask = async (path: string, method = 'GET'): Promise<[number, string, string | null]> => {
        const answer = await fetch(url + path, { method })
        return [answer.status, await answer.text(), answer.headers.get('x-prometheus-stopping')]
      }
      backend.state = 'starting'
      expect(await ask('/-/healthy')).toEqual([200, 'Prometheus Server is Healthy.\n', null])
      expect(await ask('/-/healthy', 'HEAD')).toEqual([200, '', null])
      for (const path of ['/-/ready', '/api/v1/query?query=up', '/api/v1/status/config', '/federate?match[]=up', '/consoles/x']) {
        expect(await ask(path)).toEqual([503, 'Service Unavailable', 'false'])
      }
      expect((await ask('/-/ready', 'HEAD'))[0]).toBe(503)
      for (const path of ['/api/v1/status/walreplay', '/api/v1/notifications', '/metrics', '/version', '/query'])
        expect((await ask(path))[0]).toBe(200)
      expect((await ask('/metrics'))[1]).toContain('\nprometheus_ready 0\n')
      backend.state = 'ready'
      expect(await ask('/-/ready')).toEqual([200, 'Prometheus Server is Ready.\n', null])
      expect((await ask('/metrics'))[1]).toContain('\nprometheus_ready 1\n')
      backend.state = 'stopping'
      expect(await ask('/-/ready')).toEqual([503, 'Service Unavailable', 'true'])
    }))

  it('reloads and quits where that is enabled', () =>
    withRig({ enableLifecycle: true }, async ({ backend, url }) => {
      const reload = await fetch(`${url}/-/reload`, { method: 'POST' })
      expect([reload.status, await reload.text()]).toEqual([200, ''])
      backend.reloadError = "couldn't load configuration: line 3: field x not found"
      const failed = await fetch(`${url}/-/reload`, { method: 'PUT' })
      expect([failed.status, await failed.text()]).toEqual([500, `failed to reload config: ${backend.reloadError}\n`])
      const get = await fetch(`${url}/-/reload`)
      expect([get.status, await get.text()]).toEqual([405, 'Only POST or PUT requests allowed'])
      expect(await (await fetch(`${url}/-/quit`, { method: 'PUT' })).text()).toBe('Requesting termination... Goodbye!')
      expect(await (await fetch(`${url}/-/quit`, { method: 'POST' })).text()).toBe('Termination already in progress.')
      await until(() => backend.quits === 1)
    }))

  it('refuses both where it is not', () =>
    withRig({}, async ({ backend, url }) => {
      for (const path of ['/-/reload', '/-/quit']) {
        const answer = await fetch(url + path, { method: 'POST' })
        expect([answer.status, await answer.text()]).toEqual([403, 'Lifecycle API is not enabled.'])
      }
      expect([backend.quits, backend.asked]).toEqual([0, []])
    }))

  it('waits for requests under way when it closes, and no longer than asked', async () => {
    const rig = await startRig()
    rig.backend.hang = true
    const waiting = fetch(`${rig.url}/api/v1/query?query=up`).catch(() => 'cut')
    await until(() => rig.backend.asked.length === 1)
    await rig.api.close(50)
    expect(await waiting).toBe('cut')
    await until(() => rig.backend.cancelled === 1)
    await expect(fetch(`${rig.url}/-/healthy`)).rejects.toThrow()
  })

  it('says which address it cannot have', async () => {
    await withRig({}, async ({ api }) => {
      await expect(startRig({ listenAddresses: [api.addresses[0]!] })).rejects.toThrow(
        /^cannot listen on 127\.0\.0\.1:\d+: listen EADDRINUSE/,
      )
      await expect(startRig({ listenAddresses: ['localhost'] })).rejects.toThrow('cannot listen on "localhost": no port')
    })
  })

  it('listens on several addresses', () =>
    withRig({ listenAddresses: ['127.0.0.1:0', '127.0.0.1:0'] }, async ({ api }) => {
      expect(api.addresses.length).toBe(2)
      for (const address of api.addresses) expect((await fetch(`http://${address}/-/healthy`)).status).toBe(200)
    }))
})

describe('clients', () => {
  it('a query ends when its client goes away', () =>
    withRig({}, async ({ backend, url }) => {
      backend.hang = true
      const controller = new AbortController()
      const asked = fetch(`${url}/api/v1/query?query=up`, { signal: controller.signal }).catch(() => null)
      await until(() => backend.asked.length === 1)
      controller.abort()
      await asked
      await until(() => backend.cancelled === 1)
    }))

  it('connections over the limit are closed', () =>
    withRig({ connectionsMax: 2 }, async ({ api }) => {
      const port = Number(api.addresses[0]!.split(':')[1])
      const sockets = [0, 1, 2].map(() => connect(port, '127.0.0.1'))
      let closed = 0
      for (const socket of sockets) socket.on('close', () => closed++).on('error', () => {})
      await until(() => closed === 1)
      for (const socket of sockets) socket.destroy()
    }))

  it('a request that does not arrive in time is cut off', () =>
    withRig({ readTimeoutMs: 300 }, async ({ api }) => {
      const socket = connect(Number(api.addresses[0]!.split(':')[1]), '127.0.0.1')
      let text = ''
      socket.on('data', (part) => (text += part.toString())).on('error', () => {})
      socket.write(
        'POST /api/v1/query HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\nquery=',
      )
      await new Promise((resolve) => socket.on('close', resolve))
      expect(text).toMatch(/^HTTP\/1\.1 408/)
    }))

  it('garbage on the socket does no harm', () =>
    withRig({}, async ({ api, url }) => {
      for (const bytes of [
        '\0\0\0\0',
        'GET / HTTP/9.9\r\n\r\n',
        'GET /\x01 HTTP/1.1\r\n\r\n',
        `GET /${'x'.repeat(100_000)} HTTP/1.1\r\n\r\n`,
      ]) {
        const socket = connect(Number(api.addresses[0]!.split(':')[1]), '127.0.0.1')
        socket.on('error', () => {})
        socket.end(bytes)
        await new Promise((resolve) => socket.on('close', resolve).resume())
      }
      expect((await fetch(`${url}/-/healthy`)).status).toBe(200)
    }))
})

describe('CORS', () => {
  it('any origin by default', () =>
    withRig({}, async ({ url }) => {
      const answer = await raw(`${url}/api/v1/labels`, { headers: { Origin: 'https://grafana.example' } })
      expect(answer.headers).toMatchObject({
        'access-control-allow-origin': '*',
        'access-control-allow-headers': 'Accept, Authorization, Content-Type, Origin',
        'access-control-allow-methods': 'GET, POST, OPTIONS',
        'access-control-expose-headers': 'Date',
        vary: 'Accept-Encoding, Origin',
      })
      const preflight = await raw(`${url}/api/v1/query`, { method: 'OPTIONS', headers: { Origin: 'https://grafana.example' } })
      expect([preflight.status, preflight.headers['access-control-allow-origin']]).toEqual([204, '*'])
      expect((await raw(`${url}/api/v1/labels`)).headers['access-control-allow-origin']).toBeUndefined()
    }))
  it('a pattern takes whole origins only', () =>
    withRig({ corsOrigin: 'https?://(domain1|domain2)\\.com' }, async ({ url }) => {
      const rows: [string, string | undefined][] = [
        ['https://domain1.com', 'https://domain1.com'],
        ['http://domain2.com', 'http://domain2.com'],
        ['https://domain1.com.evil', undefined],
        ['https://evil/https://domain1.com', undefined],
      ]
      for (const [origin, allowed] of rows) {
        const { headers } = await raw(`${url}/api/v1/labels`, { headers: { Origin: origin } })
        expect([headers['access-control-allow-origin'], headers['access-control-expose-headers']]).toEqual([allowed, 'Date'])
      }
    }))
})

describe('compression', () => {
  const large = utf8Bytes(JSON.stringify({ resultType: 'string', result: [1, 'abc '.repeat(2_000)] }))
  const rows: readonly (readonly [accept: string, encoding: string | undefined])[] = [
    ['gzip, deflate', 'gzip'],
    ['deflate, gzip', 'deflate'],
    ['br, zstd', undefined],
    ['', undefined],
  ]
  for (const [accept, encoding] of rows) {
    for (const [size, copies] of [
      ['small', 0],
      ['large', 1],
      ['streamed', 100],
    ] as const) {
      it(`${size} answers for ${JSON.stringify(accept)}`, () =>
        withRig({}, async ({ backend, url }) => {
          const data = copies === 0 ? utf8Bytes('[]') : large
          const parts =
            copies > 1
              ? [
                  utf8Bytes('['),
                  ...Array.from({ length: copies }, (_, i) => (i === 0 ? [data] : [utf8Bytes(','), data])).flat(),
                  utf8Bytes(']'),
                ]
              : [data]
          backend.answer = { data: parts, truncated: false, warnings: [], infos: [] }
          const answer = await raw(`${url}/api/v1/query?query=up`, { headers: { 'Accept-Encoding': accept } })
          const expected = copies === 0 ? undefined : encoding
          expect(answer.headers['content-encoding']).toBe(expected)
          const plain = expected === 'gzip' ? gunzipSync(answer.body) : expected === 'deflate' ? inflateSync(answer.body) : answer.body
          expect(plain.toString()).toBe(`{"status":"success","data":${Buffer.concat(parts).toString()}}`)
        }))
    }
  }
  it('a client that goes away in the middle of an answer leaves nothing behind', () =>
    withRig({}, async ({ backend, api, url }) => {
      backend.answer = { data: Array.from({ length: 2_000 }, () => large), truncated: false, warnings: [], infos: [] }
      for (const encoding of ['', 'gzip']) {
        const socket = connect(Number(api.addresses[0]!.split(':')[1]), '127.0.0.1')
        socket.write(`GET /api/v1/query?query=up HTTP/1.1\r\nHost: x\r\nAccept-Encoding: ${encoding}\r\n\r\n`)
        await new Promise((resolve) => socket.once('data', resolve))
        socket.destroy()
      }
      expect((await fetch(`${url}/-/healthy`)).status).toBe(200)
    }))
})

describe('request metrics', () => {
  it('count by route and status', () =>
    withRig({}, async ({ backend, url }) => {
      await fetch(`${url}/api/v1/label/a/values`)
      await fetch(`${url}/api/v1/label/b/values`)
      await fetch(`${url}/api/v1/query?query=up&time=x`)
      backend.failWith = new PromhiveError('QUERY_TIMEOUT', 'slow')
      await fetch(`${url}/api/v1/query?query=up`)
      await new Promise((resolve) => setTimeout(resolve, 20))
      const text = await (await fetch(`${url}/metrics`)).text()
      const lines = text.split('\n')
      for (const line of [
        'prometheus_http_requests_total{handler="/api/v1/label/:name/values",code="200"} 2',
        'prometheus_http_requests_total{handler="/api/v1/query",code="200"} 0',
        'prometheus_http_requests_total{handler="/api/v1/query",code="400"} 1',
        'prometheus_http_requests_total{handler="/api/v1/query",code="503"} 1',
        'prometheus_http_request_duration_seconds_count{handler="/api/v1/query"} 2',
        'prometheus_http_response_size_bytes_count{handler="/api/v1/label/:name/values"} 2',
        'prometheus_http_response_size_bytes_bucket{handler="/api/v1/label/:name/values",le="100"} 2',
        '# TYPE prometheus_http_request_duration_seconds histogram',
      ]) {
        expect(lines).toContain(line)
      }
    }))
  it('in OpenMetrics for those who ask', () =>
    withRig({}, async ({ backend, url }) => {
      backend.registry.counter('x_total', 'With "quotes" and \\.').inc(3)
      const answer = await fetch(`${url}/metrics`, { headers: { Accept: 'application/openmetrics-text;version=1.0.0,text/plain;q=0.5' } })
      expect(answer.headers.get('content-type')).toBe('application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores')
      const text = await answer.text()
      expect(text).toContain('# HELP x With \\"quotes\\" and \\\\.\n# TYPE x counter\nx_total 3.0\n')
      expect(text).toContain('prometheus_http_response_size_bytes_bucket{handler="/api/v1/query",le="100.0"} 0.0\n')
      expect(text.endsWith('\n# EOF\n')).toBe(true)
    }))
})

describe('paths', () => {
  it('below a prefix', () =>
    withRig({ routePrefix: '/prom', externalUrl: 'http://example.org/outer/' }, async ({ url }) => {
      const at = async (path: string): Promise<[number, string | null]> => {
        const answer = await fetch(url + path, { redirect: 'manual' })
        return [answer.status, answer.headers.get('location')]
      }
      expect(await at('/')).toEqual([302, '/prom'])
      expect(await at('/prom/')).toEqual([302, '/outer/query'])
      expect(await at('/prom/graph?g0.expr=up%22')).toEqual([302, '/outer/query?g0.expr=up%22'])
      expect((await at('/prom/-/healthy'))[0]).toBe(200)
      expect((await at('/prom/api/v1/labels'))[0]).toBe(200)
      expect((await at('/api/v1/labels'))[0]).toBe(404)
      expect(await at('/prom/api/v1/labels/')).toEqual([301, '/prom/api/v1/labels'])
    }))

  it('pages, files and what climbs out of them', () =>
    withRig({}, async ({ backend, url }) => {
      expect(await (await fetch(`${url}/query`)).text()).toContain('<title>Prometheus Time Series Collection and Processing Server</title>')
      const found: string[] = []
      const assets = {
        find: (path: string) => {
          found.push(path)
          return Promise.resolve(
            path === 'index.html' || path === 'assets/app.js' ? { bytes: utf8Bytes(path), contentType: 'text/x' } : null,
          )
        },
      }
      backend.ui = assets
      expect(await (await fetch(`${url}/rules`)).text()).toBe('index.html')
      const script = await fetch(`${url}/assets/app.js`)
      expect([await script.text(), script.headers.get('cache-control')]).toEqual(['assets/app.js', 'public, max-age=31536000, immutable'])
      expect((await fetch(`${url}/favicon.ico`)).status).toBe(404)
      expect((await raw(`${url}/assets/..%2f..%2fsecret`)).status).toBe(404)
      expect((await raw(`${url}/assets/%2e%2e/secret`)).status).toBe(404)
      expect(found.some((path) => path.includes('..'))).toBe(false)
      expect((await fetch(`${url}/user/x`)).status).toBe(404)
    }))

  it('consoles and profiles', () =>
    withRig({}, async ({ backend, url }) => {
      expect((await fetch(`${url}/consoles/index.html`)).status).toBe(404)
      backend.consoles = {
        indexPath: '',
        expand: (path, parameters) => {
          if (path === 'broken') return Promise.reject(new Error('template: line 1: bad'))
          return Promise.resolve(path === 'a/b.html' ? `<p>${parameters['x']![0]}</p>` : null)
        },
      }
      expect(await (await fetch(`${url}/consoles/a/b.html?x=1`)).text()).toBe('<p>1</p>')
      expect((await fetch(`${url}/consoles/none`)).status).toBe(404)
      const broken = await fetch(`${url}/consoles/broken`)
      expect([broken.status, await broken.text()]).toEqual([500, 'template: line 1: bad\n'])
      expect((await fetch(`${url}/debug/pprof/heap`)).status).toBe(404)
    }))
})

describe('notifications', () => {
  it('are listed and told live', () =>
    withRig({ notificationSubscribersMax: 1 }, async ({ notifications, url, backend }) => {
      notifications.add(notices.starting)
      expect(await (await fetch(`${url}/api/v1/notifications`)).json()).toEqual({
        status: 'success',
        data: [{ text: notices.starting, date: '2026-01-02T13:37:00.5Z', active: true }],
      })
      const live = await fetch(`${url}/api/v1/notifications/live`)
      expect([live.status, live.headers.get('content-type')]).toEqual([200, 'text/event-stream'])
      expect((await fetch(`${url}/api/v1/notifications/live`)).status).toBe(204)
      const reader = live.body!.getReader()
      const decoder = new TextDecoder()
      let text = ''
      const readUntil = async (wanted: string): Promise<void> => {
        while (!text.includes(wanted)) text += decoder.decode((await reader.read()).value)
      }
      await readUntil('replaying')
      notifications.remove(notices.starting)
      await readUntil('"active":false')
      notifications.add(notices.reloadFailed)
      notifications.add(notices.reloadFailed)
      await readUntil('Configuration reload')
      expect(text.startsWith(`data: {"text":"${notices.starting}"`)).toBe(true)
      expect(notifications.list().length).toBe(1)
      expect(await backend.registry.gather()).toContainEqual(
        expect.objectContaining({
          name: 'prometheus_api_notification_active_subscribers',
          samples: [{ suffix: '', labels: [], value: 1 }],
        }),
      )
      await reader.cancel()
      let leave: (() => void) | null = null
      await until(() => (leave ??= notifications.subscribe(() => true)) !== null)
    }))
  it('end when the server closes', async () => {
    const rig = await startRig()
    const live = await fetch(`${rig.url}/api/v1/notifications/live`)
    const closed = rig.api.close(10_000)
    expect(await live.text()).toBe('')
    await closed
  })
})
