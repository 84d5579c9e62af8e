// Which proxy a request goes through: the rules of Go's golang.org/x/net/http/httpproxy, which Prometheus uses for proxy_url with no_proxy
// and for proxy_from_environment.
import { BlockList, isIP } from 'node:net'
import type { HttpClientOptions } from '../../model/http-options.ts'

export type ProxyRule = (url: URL) => URL | null
export type ProxyOptions = Pick<HttpClientOptions, 'proxyUrl' | 'noProxy' | 'proxyFromEnvironment'>

/** @param environment of the process; upper-case names win over lower-case ones. */
export function proxyRule(options: ProxyOptions, environment: Readonly<Record<string, string | undefined>>): ProxyRule | null {
  if (options.proxyFromEnvironment === true) {
    const value = (name: string): string => environment[name] || environment[name.toLowerCase()] || ''
    // A CGI program gets the request's `Proxy:` header as HTTP_PROXY: it cannot be trusted there.
    const http = environment['REQUEST_METHOD'] ? null : parseProxy(value('HTTP_PROXY'))
    return byScheme(http, parseProxy(value('HTTPS_PROXY')), value('NO_PROXY'))
  }
  const proxy = parseProxy(options.proxyUrl ?? '')
  if (proxy === null) return null
  return options.noProxy ? byScheme(proxy, proxy, options.noProxy) : () => proxy
}

function byScheme(http: URL | null, https: URL | null, noProxy: string): ProxyRule | null {
  if (http === null && https === null) return null
  const exempt = exemption(noProxy)
  return (url) => {
    const proxy = url.protocol === 'https:' ? https : http
    return proxy === null || exempt(url) ? null : proxy
  }
}

/** `host:port` alone means http. */
function parseProxy(text: string): URL | null {
  if (text === '') return null
  for (const candidate of /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? [text] : [`http://${text}`]) {
    if (URL.canParse(candidate)) return new URL(candidate)
  }
  return null
}

type DomainRule = Readonly<{ suffix: string; port: string; itself: boolean }>

/** Hosts that are reached directly: local ones always, and what NO_PROXY lists. */
function exemption(noProxy: string): (url: URL) => boolean {
  const networks = new BlockList()
  const addresses: { address: string; port: string }[] = []
  const domains: DomainRule[] = []
  for (const entry of noProxy.split(',')) {
    const item = entry.trim().toLowerCase()
    if (item === '') continue
    if (item === '*') return () => true
    const network = /^([0-9a-f.:]+)\/(\d+)$/.exec(item)
    if (network !== null && isIP(network[1]!) !== 0) {
      const kind = isIP(network[1]!) === 4 ? 'ipv4' : 'ipv6'
      if (Number(network[2]) <= (kind === 'ipv4' ? 32 : 128)) networks.addSubnet(network[1]!, Number(network[2]), kind)
      continue
    }
    const { host, port } = splitPort(item)
    if (host === '') continue
    if (isIP(host) !== 0) {
      addresses.push({ address: host, port })
      continue
    }
    const bare = host.startsWith('*.') ? host.slice(1) : host
    domains.push(bare.startsWith('.') ? { suffix: bare, port, itself: false } : { suffix: `.${bare}`, port, itself: true })
  }
  return (url) => {
    const host = url.hostname
      .toLowerCase()
      .replace(/^\[|\]$/g, '')
      .replace(/\.$/, '')
    const port = url.port || (url.protocol === 'https:' ? '443' : '80')
    if (host === 'localhost') return true
    const version = isIP(host)
    if (version !== 0) {
      if (loopback.check(host, version === 4 ? 'ipv4' : 'ipv6') || networks.check(host, version === 4 ? 'ipv4' : 'ipv6')) return true
      return addresses.some((a) => a.address === host && (a.port === '' || a.port === port))
    }
    return domains.some((d) => (host.endsWith(d.suffix) || (d.itself && host === d.suffix.slice(1))) && (d.port === '' || d.port === port))
  }
}

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')

/** `host:port`, `[v6]:port`, a bare IPv6 address or a bare host. */
function splitPort(text: string): { host: string; port: string } {
  const bracketed = /^\[([^\]]+)\](?::(\d+))?$/.exec(text)
  if (bracketed !== null) return { host: bracketed[1]!, port: bracketed[2] ?? '' }
  const plain = /^([^:]*):(\d+)$/.exec(text)
  return plain === null ? { host: text, port: '' } : { host: plain[1]!, port: plain[2]! }
}

/** `Basic …` from the user part of the proxy's URL; null where it has none. */
export function proxyAuthorization(proxy: URL): string | null {
  if (proxy.username === '' && proxy.password === '') return null
  return `Basic ${Buffer.from(`${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`).toString('base64')}`
}
