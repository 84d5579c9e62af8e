import { expect, it } from 'vitest'
import { proxyRule } from '../../../src/ports/node/http-proxy-rules.ts'

const through = (noProxy: string, url: string): boolean => proxyRule({ proxyUrl: 'http://proxy:3128', noProxy }, {})!(new URL(url)) !== null

it.each([
  // no_proxy, URL, goes through the proxy
  ['', 'http://localhost/', true], // proxy_url alone has no exceptions
  ['x', 'http://localhost/', false],
  ['x', 'http://127.3.2.1:9090/', false],
  ['x', 'http://[::1]/', false],
  ['x', 'http://10.0.0.1/', true],
  ['*', 'http://10.0.0.1/', false],
  ['example.com', 'http://example.com/', false],
  ['example.com', 'http://EXAMPLE.com./', false],
  ['example.com', 'http://a.example.com/', false],
  ['example.com', 'http://notexample.com/', true],
  ['.example.com', 'http://example.com/', true],
  ['.example.com', 'http://a.b.example.com/', false],
  ['*.example.com', 'http://a.example.com/', false],
  ['*.example.com', 'http://example.com/', true],
  ['example.com:8080', 'http://example.com:8080/', false],
  ['example.com:8080', 'http://example.com/', true],
  ['example.com:443', 'https://example.com/', false],
  ['10.0.0.0/8', 'http://10.9.8.7/', false],
  ['10.0.0.0/8', 'http://11.0.0.1/', true],
  ['10.0.0.0/99, fd00::/8', 'http://[fd12::1]/', false],
  ['10.0.0.1', 'http://10.0.0.1:1234/', false],
  ['10.0.0.1:80', 'http://10.0.0.1/', false],
  ['10.0.0.1:80', 'http://10.0.0.1:81/', true],
  [' a.test , b.test ', 'http://b.test/', false],
])('no_proxy %j, %s: %s', (noProxy, url, expected) => {
  expect(through(noProxy, url)).toBe(expected)
})

it.each([
  [{ HTTP_PROXY: 'http://a:1' }, 'http://x/', 'http://a:1'],
  [{ http_proxy: 'a:1' }, 'http://x/', 'http://a:1'],
  [{ HTTP_PROXY: 'http://a:1' }, 'https://x/', undefined],
  [{ https_proxy: 'http://b:2', HTTPS_PROXY: 'https://c:3' }, 'https://x/', 'https://c:3'],
  [{ HTTP_PROXY: 'http://a:1', no_proxy: 'x' }, 'http://x/', undefined],
  [{ HTTP_PROXY: 'http://a:1', REQUEST_METHOD: 'GET' }, 'http://x/', undefined],
  [{}, 'http://x/', undefined],
])('environment %j, %s: %s', (environment, url, expected) => {
  expect(proxyRule({ proxyFromEnvironment: true }, environment)?.(new URL(url))?.origin).toBe(expected)
})

it('no options, no rule', () => expect(proxyRule({}, { HTTP_PROXY: 'http://a:1' })).toBeNull())
