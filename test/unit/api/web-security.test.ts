// --web.config.file at work: TLS, client certificates, HTTP/2, users, headers, rate limit, changes while running.
import { hash } from 'bcryptjs'
import { connect as connectHttp2 } from 'node:http2'
import { request, type RequestOptions } from 'node:https'
import { describe, expect, it } from 'vitest'
import type { WebFiles, WebOptions, WebTlsOptions } from '../../../src/api/web-options.ts'
import { secureContext, subjectNames } from '../../../src/api/web-security.ts'
import { PromhiveError } from '../../../src/base/errors.ts'
import { caCertificate, clientCertificate, clientKey, serverCertificate, serverKey } from '../../support/certificates.ts'
import { startRig, type Rig } from '../../support/fake-api-backend.ts'

/** Signed by itself, made for these tests. Not secrets. */
const strangerCertificate = `-----BEGIN CERTIFICATE-----
MIIBojCCAUigAwIBAgIUY5pOgX5rZsNDEdEFM6u4A0BourswCgYIKoZIzj0EAwIw
EzERMA8GA1UEAwwIc3RyYW5nZXIwIBcNMjYxMTIzMDY0MTUxWhgPMjEyNjEwMzAw
NjQxNTFaMBMxETAPBgNVBAMMCHN0cmFuZ2VyMFkwEwYHKoZIzj0CAQYIKoZIzj0D
AQcDQgAEJU2+oTJJxzfiN/o58MtyfQ0gdlJowYaRSGN0jb4IYQ5FMHVgsV61/Kwz
1dy4INbC0uYxpgEu/x6bFWumCE9d56N4MHYwHQYDVR0OBBYEFGcTx1LkH7JA0Y/K
/FzTksH1JDFcMB8GA1UdIwQYMBaAFGcTx1LkH7JA0Y/K/FzTksH1JDFcMA8GA1Ud
EwEB/wQFMAMBAf8wIwYDVR0RBBwwGoIJbG9jYWxob3N0gg1wcm9taGl2ZS50ZXN0
MAoGCCqGSM49BAMCA0gAMEUCIQDbwMHf3v3F9l9SZhdTV/JCxOReNRiA/A32FexT
AwXpTgIgRg4R5ieSuiY4DIomNxpZwOb6Uz0cVIlTG/VsbUhkao8=
-----END CERTIFICATE-----`
const strangerKey = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgJSOXLJSoxwN9wThw
4pFH9MyTFUShfKhcB7qPD3DLzMehRANCAAQlTb6hMknHN+I3+jnwy3J9DSB2UmjB
hpFIY3SNvghhDkUwdWCxXrX8rDPV3Lgg1sLS5jGmAS7/HpsVa6YIT13n
-----END PRIVATE KEY-----`
/** bcrypt of "secret" at its lowest cost. */
const secretHash = '$2b$04$CzEX4NJNK39iQMJAx24nIuSEnccsZ6dbc5Pns79SsylSMajytWvam'

const plainOptions: WebOptions = { tls: null, http2: true, headers: {}, users: {}, rateLimit: null }
const tlsOptions: WebTlsOptions = {
  cert: '',
  certFile: '/cert.pem',
  key: '',
  keyFile: '/key.pem',
  clientCa: '',
  clientCaFile: '',
  clientAuth: 'NoClientCert',
  clientAllowedSans: null,
  minVersion: 'TLS12',
  maxVersion: 'TLS13',
  cipherSuites: [],
  curvePreferences: [],
  preferServerCipherSuites: true,
}

/** Files in memory; `options` is what the web configuration parses to. */
class MemoryFiles implements WebFiles {
  options: WebOptions | null
  readonly files = new Map([
    ['/cert.pem', serverCertificate],
    ['/key.pem', serverKey],
    ['/ca.pem', caCertificate],
  ])
  changes = 0
  reads = 0
  constructor(options: WebOptions) {
    this.options = options
  }
  version(): string {
    return String(this.changes)
  }
  read(path: string): Uint8Array {
    this.reads++
    return new TextEncoder().encode(path === '/web.yml' ? '' : this.files.get(path))
  }
  parse(): WebOptions {
    if (this.options === null) throw new PromhiveError('CONFIG_INVALID', 'yaml: line 1: bad')
    return this.options
  }
  change(options: WebOptions | null): void {
    this.options = options
    this.changes++
  }
}

async function withWeb(options: WebOptions, run: (rig: Rig, files: MemoryFiles) => Promise<void>): Promise<void> {
  const files = new MemoryFiles(options)
  const rig = await startRig({ webConfig: { path: '/web.yml', files } })
  try {
    await run(rig, files)
  } finally {
    await rig.api.close(0)
  }
}

function secure(rig: Rig, options: RequestOptions = {}): Promise<string> {
  const [host, port] = rig.api.addresses[0]!.split(':')
  return new Promise((resolve) => {
    const sent = request(
      { host, port, path: '/-/healthy', ca: caCertificate, servername: 'localhost', agent: false, ...options },
      (answer) => {
        answer
          .resume()
          .on('end', () => resolve(String(answer.statusCode)))
          .on('error', () => resolve('cut'))
      },
    )
    sent.on('error', (thrown: NodeJS.ErrnoException) => resolve(thrown.code ?? thrown.message))
    sent.end()
  })
}

const basic = (user: string, password: string): { headers: Record<string, string> } => ({
  headers: { Authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` },
})

describe('users', () => {
  it('let the right ones in, and nobody else', async () => {
    const users = { alice: await hash('secret', 4), carl: (await hash('pässword', 4)).replace(/^\$2b/, '$2y') }
    await withWeb({ ...plainOptions, users }, async ({ url, backend }) => {
      const status = async (init: RequestInit = {}): Promise<number> => (await fetch(`${url}/api/v1/labels`, init)).status
      expect(await status(basic('alice', 'secret'))).toBe(200)
      expect(await status(basic('carl', 'pässword'))).toBe(200)
      const before = backend.asked.length
      for (const init of [
        {},
        basic('alice', 'wrong'),
        basic('bob', 'secret'),
        basic('', ''),
        basic('__proto__', 'x'),
        { headers: { Authorization: 'Basic !!!' } },
        { headers: { Authorization: 'Bearer x' } },
        basic('alice', 'x'.repeat(100)),
      ]) {
        expect(await status(init)).toBe(401)
      }
      expect(backend.asked.length).toBe(before)
      const refused = await fetch(`${url}/-/healthy`)
      expect([refused.headers.get('www-authenticate'), await refused.text()]).toEqual(['Basic', 'Unauthorized\n'])
    })
  })

  it('pay for the comparison once', async () => {
    await withWeb({ ...plainOptions, users: { alice: await hash('secret', 10) } }, async ({ url }) => {
      const timed = async (password: string): Promise<number> => {
        const start = performance.now()
        await (await fetch(`${url}/-/healthy`, basic('alice', password))).text()
        return performance.now() - start
      }
      const first = await timed('secret')
      const again = Math.min(await timed('secret'), await timed('secret'), await timed('secret'))
      expect(again).toBeLessThan(first / 2)
    })
  })

  it('change with the file, and a broken file closes the door', async () => {
    const before = { alice: await hash('old', 4) }
    await withWeb({ ...plainOptions, users: before, headers: { 'X-Frame-Options': 'deny' } }, async ({ url }, files) => {
      const answer = await fetch(`${url}/-/healthy`, basic('alice', 'old'))
      expect([answer.status, answer.headers.get('x-frame-options')]).toEqual([200, 'deny'])
      expect(files.reads).toBe(1)
      files.change({ ...plainOptions, users: { alice: await hash('new', 4) } })
      expect((await fetch(`${url}/-/healthy`, basic('alice', 'old'))).status).toBe(401)
      expect((await fetch(`${url}/-/healthy`, basic('alice', 'new'))).status).toBe(200)
      files.change(null)
      expect((await fetch(`${url}/-/healthy`, basic('alice', 'new'))).status).toBe(500)
    })
  })

  it('a rate limit holds for all of them together', () =>
    withWeb({ ...plainOptions, rateLimit: { intervalMs: 60_000, burst: 3 } }, async ({ url }) => {
      const statuses: number[] = []
      for (let i = 0; i < 5; i++) statuses.push((await fetch(`${url}/-/healthy`)).status)
      expect(statuses).toEqual([200, 200, 200, 429, 429])
    }))
})

describe('TLS', () => {
  for (const http2 of [false, true]) {
    it(`over HTTP/1.1 with http2 ${http2 ? 'on' : 'off'}`, () =>
      withWeb({ ...plainOptions, http2, tls: tlsOptions }, async (rig) => {
        expect(await secure(rig)).toBe('200')
        expect(await secure(rig, { maxVersion: 'TLSv1.1', minVersion: 'TLSv1' })).not.toBe('200')
        await expect(fetch(rig.url)).rejects.toThrow()
      }))
  }

  it('over HTTP/2, queries and forms included', () =>
    withWeb({ ...plainOptions, tls: tlsOptions, users: { alice: secretHash } }, async (rig) => {
      const session = connectHttp2(`https://${rig.api.addresses[0]}`, { ca: caCertificate, servername: 'localhost' })
      const ask = (headers: Record<string, string>, body = ''): Promise<[number, string]> =>
        new Promise((resolve, reject) => {
          const stream = session.request(headers)
          let status = 0
          let text = ''
          stream.on('response', (answer) => (status = Number(answer[':status'])))
          stream.on('data', (part: Buffer) => (text += part.toString()))
          stream.on('end', () => resolve([status, text]))
          stream.on('error', reject)
          if (body !== '') stream.end(body)
        })
      const authorization = basic('alice', 'secret').headers['Authorization']!
      expect(await ask({ ':path': '/-/healthy' })).toEqual([401, 'Unauthorized\n'])
      expect(await ask({ ':path': '/-/healthy', authorization })).toEqual([200, 'Prometheus Server is Healthy.\n'])
      const form = { ':method': 'POST', ':path': '/api/v1/query', authorization, 'content-type': 'application/x-www-form-urlencoded' }
      expect((await ask(form, 'query=up'))[1]).toBe('{"status":"success","data":{"resultType":"vector","result":[]}}')
      expect(rig.backend.asked.at(-1)!.with).toMatchObject({ query: 'up' })
      session.close()
    }))

  const clients: readonly (readonly [
    WebTlsOptions['clientAuth'],
    readonly string[] | null,
    none: boolean,
    trusted: boolean,
    stranger: boolean,
  ])[] = [
    ['NoClientCert', null, true, true, true],
    ['RequestClientCert', null, true, true, true],
    ['RequireAnyClientCert', null, false, true, true],
    ['VerifyClientCertIfGiven', null, true, true, false],
    ['RequireAndVerifyClientCert', null, false, true, false],
    ['RequireAndVerifyClientCert', ['promhive.test'], false, true, false],
    ['RequireAndVerifyClientCert', ['127.0.0.1'], false, true, false],
    ['RequireAndVerifyClientCert', ['other'], false, false, false],
  ]
  for (const [clientAuth, clientAllowedSans, none, trusted, stranger] of clients) {
    for (const http2 of [false, true]) {
      it(`${clientAuth}, names ${JSON.stringify(clientAllowedSans)}, http2 ${http2 ? 'on' : 'off'}`, () =>
        withWeb(
          {
            ...plainOptions,
            http2,
            tls: { ...tlsOptions, clientAuth, clientAllowedSans, clientCaFile: clientAuth === 'NoClientCert' ? '' : '/ca.pem' },
          },
          async (rig) => {
            expect((await secure(rig)) === '200').toBe(none)
            expect((await secure(rig, { cert: clientCertificate, key: clientKey })) === '200').toBe(trusted)
            expect((await secure(rig, { cert: strangerCertificate, key: strangerKey })) === '200').toBe(stranger)
          },
        ))
    }
  }

  it('takes new certificates up without a restart, and keeps the old ones where the new are broken', () =>
    withWeb({ ...plainOptions, http2: false, tls: tlsOptions }, async (rig, files) => {
      expect(await secure(rig)).toBe('200')
      files.files.set('/cert.pem', strangerCertificate)
      files.files.set('/key.pem', strangerKey)
      files.changes++
      expect(await secure(rig)).not.toBe('200')
      expect(await secure(rig, { ca: strangerCertificate, checkServerIdentity: () => undefined })).toBe('200')
      files.files.set('/key.pem', 'broken')
      files.changes++
      expect(await secure(rig, { ca: strangerCertificate, checkServerIdentity: () => undefined })).toBe('200')
    }))

  it('refuses to start with what it cannot use', async () => {
    const start = (tls: Partial<WebTlsOptions>): Promise<unknown> =>
      startRig({ webConfig: { path: '/web.yml', files: new MemoryFiles({ ...plainOptions, tls: { ...tlsOptions, ...tls } }) } })
    await expect(start({ cipherSuites: ['TLS_NOPE'] })).rejects.toThrow('unknown cipher: TLS_NOPE')
    await expect(start({ curvePreferences: ['CurveX'] })).rejects.toThrow('unknown curve: CurveX')
    await expect(start({ certFile: '', cert: 'nonsense' })).rejects.toThrow()
  })
})

it('options become those of Node', () => {
  const files = new MemoryFiles(plainOptions)
  const tls: WebTlsOptions = {
    ...tlsOptions,
    minVersion: 'TLS10',
    maxVersion: 'TLS12',
    cipherSuites: ['TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256', 'TLS_RSA_WITH_AES_256_CBC_SHA'],
    curvePreferences: ['X25519', 'CurveP256'],
  }
  expect(secureContext(tls, files)).toMatchObject({
    minVersion: 'TLSv1',
    maxVersion: 'TLSv1.2',
    ciphers: 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:ECDHE-RSA-AES128-GCM-SHA256:AES256-SHA',
    ecdhCurve: 'X25519:P-256',
    honorCipherOrder: true,
  })
})

it('subject names', () => {
  expect(subjectNames('DNS:a.example, IP Address:10.0.0.1, URI:spiffe://x/y, email:a@b, othername:<unsupported>, DNS:"odd, name"')).toEqual(
    ['a.example', '10.0.0.1', 'spiffe://x/y', 'a@b', 'odd, name'],
  )
  expect(subjectNames('')).toEqual([])
})
