// What only the real HTTP client has: TLS, proxies, credential files, OAuth2, Unix sockets, connections that are kept.
import { createPublicKey, generateKeyPairSync, verify } from 'node:crypto'
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import { createSecureServer } from 'node:http2'
import { createServer as createTlsServer } from 'node:https'
import { connect, createServer as createTcpServer, type AddressInfo, type Server as TcpServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { defaultHttpClientOptions, type HttpClientOptions, type OAuth2Options, type TlsOptions } from '../../../src/model/http-options.ts'
import { nodeHttp } from '../../../src/ports/node/http.ts'
import type { HttpAnswer, HttpClient, HttpRequest } from '../../../src/ports/http.ts'
import { caCertificate, clientCertificate, clientKey, serverCertificate, serverKey } from '../../support/certificates.ts'

const directory = mkdtempSync(join(tmpdir(), 'promhive-http-'))
const ends: (() => void)[] = [() => rmSync(directory, { recursive: true })]
afterAll(() => ends.forEach((end) => end()))

async function listen(server: TcpServer | Server, where: number | string = 0): Promise<number> {
  await new Promise<void>((resolve) =>
    typeof where === 'number' ? server.listen(where, '127.0.0.1', resolve) : server.listen(where, resolve),
  )
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => sockets.add(socket))
  ends.push(() => (sockets.forEach((socket) => socket.destroy()), server.close()))
  return typeof where === 'number' ? (server.address() as AddressInfo).port : 0
}
const plain = (handler: RequestListener): Promise<number> => listen(createServer(handler))

function client(options: Partial<HttpClientOptions> = {}, environment: Record<string, string> = {}): HttpClient {
  const made = nodeHttp({ environment, userAgent: 'promhive-test' }).client({ ...defaultHttpClientOptions, ...options })
  ends.push(() => void made.close())
  return made
}
const get = (from: HttpClient, url: string, request: Partial<HttpRequest> = {}): Promise<HttpAnswer> =>
  from.request({ method: 'GET', url, timeoutMs: 3000, bodyBytesMax: 0, ...request })
const text = (answer: HttpAnswer): string => Buffer.from(answer.body).toString()

const noTls: TlsOptions = {
  ca: '',
  caFile: '',
  cert: '',
  certFile: '',
  key: '',
  keyFile: '',
  serverName: '',
  insecureSkipVerify: false,
  minVersion: '',
  maxVersion: '',
}

describe('TLS', () => {
  const server = (extra: object = {}): Promise<number> =>
    listen(
      createTlsServer({ cert: serverCertificate, key: serverKey, ...extra }, (request, response) => {
        const socket = request.socket as Socket & {
          getProtocol(): string
          getPeerCertificate(): { subject?: { CN: string } }
          servername: string
        }
        response.end(`${socket.getProtocol()} ${socket.getPeerCertificate().subject?.CN ?? 'nobody'} ${socket.servername}`)
      }),
    )

  it.each([
    ['an unknown authority', {}, /tls: failed to verify certificate: x509: certificate signed by unknown authority$/],
    ['another name', { ca: caCertificate, serverName: 'other.test' }, /tls: failed to verify certificate: x509: .*other\.test/],
    ['too old a version', { ca: caCertificate, maxVersion: 'TLS12' }, /tls/],
    ['a CA that is none', { ca: 'nonsense' }, /unable to use specified CA cert inline/],
    [
      'a CA file that is missing',
      { caFile: '/no/such/ca.pem' },
      /unable to read CA cert: unable to read file \/no\/such\/ca\.pem: no such file or directory/,
    ],
    [
      'a key that is none',
      { ca: caCertificate, cert: clientCertificate, key: 'nonsense' },
      /unable to use specified client cert \(inline\) & key \(inline\)/,
    ],
  ] as const)('refuses %s', async (what, tls, message) => {
    const port = await server(what === 'too old a version' ? { minVersion: 'TLSv1.3' } : {})
    await expect(get(client({ tls: { ...noTls, ...tls } }), `https://127.0.0.1:${port}/`)).rejects.toThrow(message)
  })

  it.each([
    ['its CA', { ca: caCertificate }, /^TLSv1\.3 nobody/],
    ['a server name', { ca: caCertificate, serverName: 'promhive.test' }, /promhive\.test$/],
    ['no verification', { insecureSkipVerify: true }, /^TLSv1\.3/],
    ['a version', { ca: caCertificate, minVersion: 'TLS12', maxVersion: 'TLS12' }, /^TLSv1\.2/],
  ] as const)('accepts %s', async (_, tls, seen) => {
    expect(text(await get(client({ tls: { ...noTls, ...tls } }), `https://127.0.0.1:${await server()}/`))).toMatch(seen)
  })

  it('shows a client certificate, and another one when the files change', async () => {
    const port = await server({ ca: caCertificate, requestCert: true, rejectUnauthorized: false })
    const [certFile, keyFile] = [join(directory, 'cert.pem'), join(directory, 'key.pem')]
    writeFileSync(certFile, clientCertificate)
    writeFileSync(keyFile, clientKey)
    const own = client({ tls: { ...noTls, ca: caCertificate, certFile, keyFile } })
    expect(text(await get(own, `https://127.0.0.1:${port}/`))).toContain(' client ')
    writeFileSync(certFile, serverCertificate)
    writeFileSync(keyFile, serverKey)
    utimesSync(certFile, 1, 2)
    expect(text(await get(own, `https://127.0.0.1:${port}/`))).toContain(' server ')
  })

  it('speaks HTTP/2 where both sides can and it is enabled', async () => {
    const h2 = createSecureServer({ cert: serverCertificate, key: serverKey, allowHTTP1: true }, (request, response) => {
      response.end(request.httpVersion)
    })
    const port = await listen(h2 as unknown as TcpServer)
    const tls = { ...noTls, ca: caCertificate }
    expect(text(await get(client({ tls, enableHttp2: false }), `https://127.0.0.1:${port}/`))).toBe('1.1')
    // ALPN: undici offers both, the server picks.
    expect(['2.0', '1.1']).toContain(text(await get(client({ tls, enableHttp2: true }), `https://127.0.0.1:${port}/`)))
  })

  it('says when the other side speaks plain HTTP', async () => {
    const port = await plain((_, response) => response.end())
    await expect(get(client({ tls: noTls }), `https://127.0.0.1:${port}/`)).rejects.toThrow(
      'http: server gave HTTP response to HTTPS client',
    )
  })
})

describe('proxies', () => {
  /** An HTTP proxy for plain requests and CONNECT; remembers what it was asked. */
  async function proxy(answer = 200): Promise<{ port: number; seen: string[] }> {
    const seen: string[] = []
    const server = createServer((request, response) => {
      seen.push(`${request.method} ${request.url} host=${request.headers.host} auth=${request.headers['proxy-authorization']}`)
      response.end('through the proxy')
    })
    server.on('connect', (request: IncomingMessage, socket: Socket) => {
      seen.push(`CONNECT ${request.url} auth=${request.headers['proxy-authorization']} x=${request.headers['x-proxy']}`)
      if (answer !== 200) return socket.end(`HTTP/1.1 ${answer} Proxy Authentication Required\r\n\r\n`)
      const upstream = connect(Number(request.url!.split(':')[1]), '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
        socket.pipe(upstream).pipe(socket)
      })
      upstream.on('error', () => socket.destroy())
      socket.on('error', () => upstream.destroy())
      return undefined
    })
    return { port: await listen(server), seen }
  }
  const secure = (): Promise<number> =>
    listen(createTlsServer({ cert: serverCertificate, key: serverKey }, (_, response) => response.end('secret')))

  it('asks for plain URLs whole', async () => {
    const { port, seen } = await proxy()
    const answer = await get(client({ proxyUrl: `http://u:p%40@127.0.0.1:${port}` }), 'http://target.test:9100/metrics?a=b')
    expect(text(answer)).toBe('through the proxy')
    expect(seen).toEqual(['GET http://target.test:9100/metrics?a=b host=target.test:9100 auth=Basic dTpwQA=='])
  })

  it('tunnels https with CONNECT, its headers and credentials', async () => {
    const { port, seen } = await proxy()
    const target = await secure()
    const own = client({
      proxyUrl: `http://u:p@127.0.0.1:${port}`,
      proxyConnectHeader: { 'X-Proxy': ['yes'] },
      tls: { ...noTls, ca: caCertificate },
    })
    expect(text(await get(own, `https://localhost:${target}/`))).toBe('secret')
    expect(seen).toEqual([`CONNECT localhost:${target} auth=Basic dTpw x=yes`])
  })

  it('says why a tunnel was refused, and that the proxy cannot be reached', async () => {
    const { port } = await proxy(407)
    const tls = { ...noTls, ca: caCertificate }
    await expect(get(client({ proxyUrl: `http://127.0.0.1:${port}`, tls }), 'https://localhost:1/')).rejects.toThrow(
      'Get "https://localhost:1/": Proxy Authentication Required',
    )
    await expect(get(client({ proxyUrl: 'http://127.0.0.1:1', tls }), 'https://localhost:1/')).rejects.toThrow(
      'proxyconnect tcp: dial tcp 127.0.0.1:1: connect: connection refused',
    )
  })

  it('leaves out what no_proxy lists, and takes proxies from the environment', async () => {
    const { port, seen } = await proxy()
    const direct = await plain((_, response) => response.end('direct'))
    const url = `http://127.0.0.1:${direct}/`
    expect(text(await get(client({ proxyUrl: `http://127.0.0.1:${port}`, noProxy: '10.0.0.0/8,example.com' }), url))).toBe('direct')
    const environment = { http_proxy: `127.0.0.1:${port}`, NO_PROXY: 'skipped.test' }
    expect(text(await get(client({ proxyFromEnvironment: true }, environment), 'http://elsewhere.test/'))).toBe('through the proxy')
    expect(text(await get(client({ proxyFromEnvironment: true }, environment), url))).toBe('direct')
    expect(seen.length).toBe(1)
  })

  it('speaks SOCKS5 with a name and a password', async () => {
    const target = await plain((_, response) => response.end('by socks'))
    const seen: string[] = []
    const server = createTcpServer((socket) => {
      let step = 0
      socket.on('error', () => {})
      socket.on('data', (data: Buffer) => {
        if (step === 0) socket.write(Buffer.from([5, 2]))
        else if (step === 1) {
          const user = data.subarray(2, 2 + data[1]!).toString()
          seen.push(`${user}:${data.subarray(3 + data[1]!).toString()}`)
          socket.write(Buffer.from([1, 0]))
        } else if (step === 2) {
          seen.push(data.subarray(5, 5 + data[4]!).toString())
          const upstream = connect(data.readUInt16BE(5 + data[4]!), '127.0.0.1', () => {
            socket.removeAllListeners('data')
            socket.write(Buffer.from([5, 0, 0, 1, 0, 0, 0, 0, 0, 0]))
            socket.pipe(upstream).pipe(socket)
          })
          upstream.on('error', () => socket.destroy())
        }
        step++
      })
    })
    const port = await listen(server)
    expect(text(await get(client({ proxyUrl: `socks5://me:pw@127.0.0.1:${port}` }), `http://target.test:${target}/`))).toBe('by socks')
    expect(seen).toEqual(['me:pw', 'target.test'])
  })
})

describe('credentials', () => {
  it('reads files when they are used', async () => {
    const port = await plain((request, response) => response.end(`${request.headers.authorization} ${request.headers['x-key']}`))
    const [password, key] = [join(directory, 'password'), join(directory, 'key')]
    const own = client({
      basicAuth: { username: 'u', usernameFile: '', password: '', passwordFile: password },
      httpHeaders: { 'X-Key': { values: [], secrets: [], files: [key] } },
    })
    const url = `http://127.0.0.1:${port}/`
    await expect(get(own, url)).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: `Get "${url}": unable to read headers file: unable to read file ${key}: no such file or directory`,
    })
    writeFileSync(password, 'one\n')
    writeFileSync(key, ' k \n')
    expect(text(await get(own, url))).toBe(`Basic ${btoa('u:one')} k`)
    writeFileSync(password, 'two')
    utimesSync(password, 1, 2)
    expect(text(await get(own, url))).toBe(`Basic ${btoa('u:two')} k`)
  })

  const oauth: OAuth2Options = {
    clientId: 'id', clientSecret: 's/1', clientSecretFile: '', grantType: 'client_credentials', clientCertificateKey: '', clientCertificateKeyFile: '',
    clientCertificateKeyId: '', signatureAlgorithm: '', iss: '', audience: '', claims: {}, scopes: ['a', 'b'], tokenUrl: '', endpointParams: { tenant: 't' },
  } // prettier-ignore
  /** A token server and a target that shows what it got. */
  async function world(
    issue: (form: URLSearchParams, authorization: string | undefined) => { status?: number; body: string; type?: string },
  ) {
    const forms: URLSearchParams[] = []
    const tokens = await plain((request, response) => {
      let body = ''
      request.on('data', (chunk) => (body += chunk))
      request.on('end', () => {
        const form = new URLSearchParams(body)
        forms.push(form)
        const { status = 200, body: answer, type = 'application/json' } = issue(form, request.headers.authorization)
        response.writeHead(status, { 'content-type': type }).end(answer)
      })
    })
    const target = await plain((request, response) => response.end(request.headers.authorization))
    return { forms, tokenUrl: `http://127.0.0.1:${tokens}/token`, url: `http://127.0.0.1:${target}/` }
  }

  it('fetches a token once, with the secret in the header, and again before it ends', async () => {
    let issued = 0
    const { forms, tokenUrl, url } = await world((_, authorization) =>
      authorization === `Basic ${btoa('id:s%2F1')}`
        ? { body: JSON.stringify({ access_token: `t${++issued}`, token_type: 'bearer', expires_in: issued === 1 ? 3600 : 5 }) }
        : { status: 401, body: 'no' },
    )
    const own = client({ oauth2: { ...oauth, tokenUrl } })
    expect((await Promise.all([get(own, url), get(own, url)])).map(text)).toEqual(['Bearer t1', 'Bearer t1'])
    expect(text(await get(own, url))).toBe('Bearer t1')
    expect(Object.fromEntries(forms[0]!)).toEqual({ grant_type: 'client_credentials', scope: 'a b', tenant: 't' })
    const short = client({ oauth2: { ...oauth, tokenUrl } })
    expect(text(await get(short, url))).toBe('Bearer t2')
    expect(text(await get(short, url))).toBe('Bearer t3') // five seconds are less than the margin
  })

  it('puts the secret into the body where the server wants it there', async () => {
    const { forms, tokenUrl, url } = await world((form) =>
      form.get('client_secret') === 's/1'
        ? { body: 'access_token=x&token_type=Bearer', type: 'application/x-www-form-urlencoded' }
        : { status: 401, body: '' },
    )
    expect(text(await get(client({ oauth2: { ...oauth, tokenUrl } }), url))).toBe('Bearer x')
    expect(forms.length).toBe(2)
  })

  it('says what the token server said', async () => {
    const { tokenUrl, url } = await world(() => ({ status: 500, body: 'out of tokens' }))
    await expect(get(client({ oauth2: { ...oauth, tokenUrl } }), url)).rejects.toThrow(
      `Get "${url}": oauth2: cannot fetch token: 500\nResponse: out of tokens`,
    )
  })

  it('exchanges a signed JWT', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', {
      modulusLength: 2048,
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    })
    const { forms, tokenUrl, url } = await world(() => ({ body: '{"access_token":"j"}' }))
    const grantType = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
    const options = {
      ...oauth,
      tokenUrl,
      grantType,
      clientCertificateKey: privateKey,
      clientCertificateKeyId: 'kid',
      signatureAlgorithm: 'RS384',
      claims: { extra: 1 },
    }
    expect(text(await get(client({ oauth2: options }), url))).toBe('Bearer j')
    expect(forms[0]!.get('grant_type')).toBe(grantType)
    const [header, claims, signature] = forms[0]!.get('assertion')!.split('.')
    const read = (part: string): unknown => JSON.parse(Buffer.from(part, 'base64url').toString())
    expect(read(header!)).toEqual({ alg: 'RS384', typ: 'JWT', kid: 'kid' })
    expect(read(claims!)).toMatchObject({ iss: 'id', sub: 'id', aud: tokenUrl, scope: 'a b', extra: 1 })
    expect(verify('RSA-SHA384', Buffer.from(`${header}.${claims}`), createPublicKey(publicKey), Buffer.from(signature!, 'base64url'))).toBe(
      true,
    )
  })
})

describe('connections', () => {
  it('are kept, and used again', async () => {
    const ports = new Set<number | undefined>()
    const port = await plain((request, response) => (ports.add(request.socket.remotePort), response.end()))
    const own = client()
    // A request that follows at once may find the connection not yet free and open a second one.
    for (let i = 0; i < 8; i++) await get(own, `http://127.0.0.1:${port}/`)
    expect(ports.size).toBeLessThanOrEqual(2)
  })

  it('go to a Unix socket where told so', async () => {
    const path = join(directory, 'socket')
    await listen(
      createServer((request, response) => response.end(`unix ${request.headers.host}`)),
      path,
    )
    expect(text(await get(client(), 'http://any.test/', { unixSocket: path }))).toBe('unix any.test')
    await expect(get(client(), 'http://any.test/', { unixSocket: path + '.none' })).rejects.toThrow(
      `Get "http://any.test/": dial unix ${path}.none: connect: no such file or directory`,
    )
  })

  it('that the server closed meanwhile are replaced', async () => {
    let requests = 0
    const server = createTcpServer((socket) => {
      socket.on('error', () => {})
      let first = true
      socket.on('data', () => {
        requests++
        // The second request on a connection meets its end, as with a server that has just timed it out.
        if (first) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
        else socket.destroy()
        first = false
      })
    })
    const port = await listen(server)
    const own = client()
    for (let i = 0; i < 4; i++) expect(text(await get(own, `http://127.0.0.1:${port}/`))).toBe('ok')
    expect(requests).toBeGreaterThan(4)
  })

  it.each([
    ['a body cut short', 'HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nshort', /EOF|closed/],
    ['no HTTP', 'SSH-2.0-OpenSSH\r\n', /malformed HTTP response "SSH-2\.0-OpenSSH"$/],
    ['a body without length', 'HTTP/1.0 200 OK\r\n\r\nuntil the end', null],
  ])('answer with %s', async (_, answer, message) => {
    const port = await listen(createTcpServer((socket) => void socket.on('error', () => {}).on('data', () => socket.end(answer))))
    const asked = get(client(), `http://127.0.0.1:${port}/`)
    if (message === null) expect(text(await asked)).toBe('until the end')
    else await expect(asked).rejects.toThrow(message)
  })

  it('time out in the middle of a body', async () => {
    const port = await plain((_, response) => void response.writeHead(200, { 'content-length': 10 }).write('half'))
    await expect(get(client(), `http://127.0.0.1:${port}/`, { timeoutMs: 100 })).rejects.toMatchObject({
      code: 'QUERY_TIMEOUT',
      message: 'context deadline exceeded',
    })
  })

  it('each times out at its own time, whichever was asked first', async () => {
    const port = await plain((request, response) => {
      if (request.url === '/quick') response.end('here')
    })
    const asking = client()
    const startMs = performance.now()
    const over = async (timeoutMs: number): Promise<number> => {
      await expect(get(asking, `http://127.0.0.1:${port}/slow`, { timeoutMs })).rejects.toMatchObject({ code: 'QUERY_TIMEOUT' })
      return performance.now() - startMs
    }
    const times = [400, 100, 250, 101].map((timeoutMs) => over(timeoutMs))
    expect(text(await get(asking, `http://127.0.0.1:${port}/quick`, { timeoutMs: 50 }))).toBe('here')
    const [last, first, middle, second] = await Promise.all(times)
    expect(first).toBeGreaterThanOrEqual(100)
    expect(second).toBeGreaterThanOrEqual(first!)
    expect(middle).toBeGreaterThanOrEqual(250)
    expect(last).toBeGreaterThanOrEqual(400)
    // one that ended in time leaves a timer that must not hold up, or bring forward, those that come later
    expect((await over(150)) - last!).toBeGreaterThanOrEqual(150)
  })

  it('follow redirects that begin when the request is known, as often as it is asked', async () => {
    let asked = 0
    const port = await plain((request, response) => {
      if (request.url === '/there') return void response.end('there')
      if (asked++ % 2 === 0) response.end('here')
      else response.writeHead(302, { location: '/there' }).end()
    })
    const headers = { accept: 'text/plain' }
    const asking = client()
    const answers: string[] = []
    for (let i = 0; i < 5; i++) answers.push(text(await get(asking, `http://127.0.0.1:${port}/`, { headers })))
    expect(answers).toEqual(['here', 'there', 'here', 'there', 'here'])
    expect((await get(client({ followRedirects: false }), `http://127.0.0.1:${port}/`, { headers })).status).toBe(302)
  })

  it('to names that do not exist', async () => {
    await expect(get(client(), 'http://no-such-host.invalid/')).rejects.toThrow(/dial tcp: lookup no-such-host\.invalid: /)
  })

  it('to a name, by whichever address answers', async () => {
    const port = await plain((_, response) => response.end('here'))
    const own = client()
    const answers = await Promise.all(Array.from({ length: 6 }, () => get(own, `http://localhost:${port}/`)))
    expect(answers.map(text)).toEqual(Array.from({ length: 6 }, () => 'here'))
    const failed = await Promise.allSettled(Array.from({ length: 8 }, (_, i) => get(own, `http://no-such-${i % 3}.invalid/`)))
    expect(failed.every((f) => f.status === 'rejected')).toBe(true)
  })

  it('survive a gzip bomb', async () => {
    const { gzipSync } = await import('node:zlib')
    const bomb = gzipSync(Buffer.alloc(64 << 20))
    const port = await plain((_, response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb))
    await expect(get(client(), `http://127.0.0.1:${port}/`, { bodyBytesMax: 1 << 20 })).rejects.toMatchObject({ code: 'TOO_LARGE' })
  })
})
