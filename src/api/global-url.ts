/**
 * A target's URL as others reach it: a target on localhost gets the server's external host, and where it is the server itself its scheme and
 * port as well.
 * @param ownAddress `host:port` the server listens on. @param externalUrl where users reach the server.
 * @see prometheus web/api/v1 getGlobalURL
 */
export function globalUrl(targetUrl: string, ownAddress: string, externalUrl: string): string {
  const split = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)(.*)$/i.exec(targetUrl)
  if (split === null) return targetUrl
  const [, scheme, authority, rest] = split as unknown as [string, string, string, string]
  const at = authority.lastIndexOf('@')
  const user = at < 0 ? '' : authority.slice(0, at + 1)
  const { host, port } = hostPort(authority.slice(at + 1))
  if (host !== 'localhost' && host !== '127.0.0.1' && host !== '::1') return targetUrl
  const external = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)/i.exec(externalUrl)
  if (external === null) return targetUrl
  if (port === hostPort(ownAddress).port) return `${external[1]}://${user}${external[2]}${rest}`
  const outer = hostPort(external[2]!).host
  const bracketed = outer.includes(':') ? `[${outer}]` : outer
  return `${scheme}://${user}${port === '' ? bracketed : `${bracketed}:${port}`}${rest}`
}

/** Brackets of IPv6 addresses are taken off. `port` '' = none. */
export function hostPort(text: string): { host: string; port: string } {
  const v6 = /^\[([^\]]*)\](?::(\d*))?$/.exec(text)
  if (v6 !== null) return { host: v6[1]!, port: v6[2] ?? '' }
  const at = text.lastIndexOf(':')
  return at < 0 || text.indexOf(':') !== at ? { host: text, port: '' } : { host: text.slice(0, at), port: text.slice(at + 1) }
}
