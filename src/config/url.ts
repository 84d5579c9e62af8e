// URLs as Go reads them. Go takes more than the web's URL class does (relative references, unusual schemes), and what it takes is printed unchanged.
import { quote } from '../model/labels.ts'

export type GoUrl = Readonly<{
  problem: string | null
  scheme: string
  /** Host and port, without user. */
  host: string
  path: string
}>

const none = { scheme: '', host: '', path: '' }

/** @see Go net/url Parse; problems in its words. */
export function parseGoUrl(text: string): GoUrl {
  const fail = (why: string): GoUrl => ({ ...none, problem: `parse ${quote(text)}: ${why}` })
  // oxlint-disable-next-line no-control-regex
  if (/[\x00-\x1f\x7f]/.test(text)) return fail('net/url: invalid control character in URL')
  const hash = text.indexOf('#')
  let rest = hash < 0 ? text : text.slice(0, hash)
  if (rest.startsWith(':')) return fail('missing protocol scheme')
  const scheme = /^([a-zA-Z][a-zA-Z0-9+.-]*):/.exec(rest)
  if (scheme !== null) rest = rest.slice(scheme[0].length)
  const question = rest.indexOf('?')
  if (question >= 0) rest = rest.slice(0, question)
  if (scheme !== null && !rest.startsWith('/')) {
    return { problem: null, scheme: scheme[1]!.toLowerCase(), host: '', path: '' } // opaque, such as mailto:
  }
  if (scheme === null && !rest.startsWith('/') && rest.split('/')[0]!.includes(':')) {
    return fail('first path segment in URL cannot contain colon')
  }
  let host = ''
  let path = rest
  if (rest.startsWith('//')) {
    const slash = rest.indexOf('/', 2)
    const authority = slash < 0 ? rest.slice(2) : rest.slice(2, slash)
    path = slash < 0 ? '' : rest.slice(slash)
    const at = authority.lastIndexOf('@')
    if (at >= 0 && !/^[A-Za-z0-9\-._:~!$&'()*+,;=%@]*$/.test(authority.slice(0, at))) return fail('net/url: invalid userinfo')
    host = authority.slice(at + 1)
    const bracket = host.startsWith('[') ? host.lastIndexOf(']') : -1
    if (host.startsWith('[') && bracket < 0) return fail("missing ']' in host")
    const port = bracket >= 0 ? host.slice(bracket + 1) : host.includes(':') ? host.slice(host.lastIndexOf(':')) : ''
    if (port !== '' && !/^:\d*$/.test(port)) return fail(`invalid port ${quote(port)} after host`)
    const odd = /[ "<>\\^`{|}]/.exec(host)
    if (odd !== null) return fail(`invalid character ${quote(odd[0])} in host name`)
    const escape = badEscape(host)
    if (escape !== null) return fail(`invalid URL escape ${quote(escape)}`)
  }
  const escape = badEscape(path)
  if (escape !== null) return fail(`invalid URL escape ${quote(escape)}`)
  return { problem: null, scheme: scheme === null ? '' : scheme[1]!.toLowerCase(), host, path }
}

function badEscape(text: string): string | null {
  for (let i = text.indexOf('%'); i >= 0; i = text.indexOf('%', i + 1)) {
    if (!/^%[0-9a-fA-F]{2}/.test(text.slice(i, i + 3))) return text.slice(i, i + 3)
  }
  return null
}

/** The same URL with its password as `xxxxx`. */
export function redactUrl(text: string): string {
  return text.replace(/^([a-zA-Z][a-zA-Z0-9+.-]*:)?(\/\/[^/?#@]*?):[^/?#]*@/, '$1$2:xxxxx@')
}
