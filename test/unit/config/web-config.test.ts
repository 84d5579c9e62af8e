import { expect, it } from 'vitest'
import { printProblem } from '../../../src/config/problem.ts'
import { parseWebConfig } from '../../../src/config/web-config.ts'

const hash = `$2y$10$${'a'.repeat(53)}`

it('reads everything', () => {
  const source = `
tls_server_config: {cert_file: c.pem, key_file: k.pem, client_auth_type: RequireClientCert, client_ca_file: /ca.pem, min_version: TLS13}
http_server_config: {http2: false, headers: {X-Frame-Options: deny, Strict-Transport-Security: x}}
basic_auth_users: {alice: ${hash}}
rate_limit: {interval: 1s, burst: 5}
`
  expect(parseWebConfig(source, '/etc/web.yml').config).toMatchObject({
    tls: {
      certFile: '/etc/c.pem',
      keyFile: '/etc/k.pem',
      clientCaFile: '/ca.pem',
      clientAuth: 'RequireAnyClientCert',
      minVersion: 'TLS13',
      maxVersion: 'TLS13',
      preferServerCipherSuites: true,
    },
    http2: false,
    headers: { 'X-Frame-Options': 'deny' },
    users: { alice: hash },
    rateLimit: { intervalMs: 1000, burst: 5 },
  })
  expect(parseWebConfig('', 'w').config).toEqual({ tls: null, http2: true, headers: {}, users: {}, rateLimit: null })
})

it.each([
  ['basic_auth_users: {a: plain}', ['w:1:20: basic_auth_users.a: crypto/bcrypt: hashedSecret too short to be a bcrypted password']],
  [
    `basic_auth_users: {a: ${hash.replace('$10', '$99')}}`,
    ['w:1:20: basic_auth_users.a: crypto/bcrypt: cost 99 is outside allowed inclusive range 4..31'],
  ],
  ['tls_server_config: {key_file: k}', ['w:1:1: tls_server_config: missing one of cert or cert_file']],
  ['tls_server_config: {cert: c, key: k, client_auth_type: X}', ['w:1:38: tls_server_config.client_auth_type: invalid ClientAuth: X']],
  [
    'tls_server_config: {cert: c, key: k, client_ca: x}',
    ["w:1:1: tls_server_config: client CA's have been configured without a Client Auth Policy"],
  ],
  ['tls_server_config: {cipher_suites: [X]}', ['w:1:37: tls_server_config.cipher_suites[0]: unknown cipher: X']],
  [
    'http_server_config: {headers: {X-Other: y}}',
    ['w:1:32: http_server_config.headers.X-Other: HTTP header "X-Other" can not be configured'],
  ],
  [
    'http_server_config: {headers: {X-Frame-Options: y}}',
    [
      'w:1:32: http_server_config.headers.X-Frame-Options: invalid value for X-Frame-Options. Expected one of: ["deny" "sameorigin"], but got: "y"',
    ],
  ],
  ['users: {}', ['w:1:1: users: field users not found in type web.Config']],
])('%s', (source, problems) => {
  expect(parseWebConfig(source, 'w').problems.map(printProblem)).toEqual(problems)
})

it('looks at the files it names', () => {
  const source = 'tls_server_config: {cert_file: c, key_file: k}'
  const readFile = (path: string): string => {
    if (path === 'k') throw new Error('open k: no such file or directory')
    return 'pem'
  }
  expect(parseWebConfig(source, 'w', { readFile }).problems.map(({ message }) => message)).toEqual([
    'failed to read key_file (k): open k: no such file or directory',
  ])
  expect(parseWebConfig(source, 'w', { readFile: () => 'pem', checkKeyPair: () => 'no match' }).problems).toMatchObject([
    { message: 'failed to load X509KeyPair: no match' },
  ])
})
