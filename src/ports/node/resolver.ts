// DNS through Node's resolver (c-ares), which asks the servers of /etc/resolv.conf but knows no search domains: those are added here.
import { Resolver as AresResolver } from 'node:dns/promises'
import { readFileSync } from 'node:fs'
import { messageOf, PromhiveError } from '../../base/errors.ts'
import type { RecordOf, RecordType, Resolver } from '../resolver.ts'

/** @param servers instead of the system's, as `address` or `address:port`. */
export function nodeResolver(servers?: readonly string[]): Resolver {
  const ares = new AresResolver({ timeout: 5_000, tries: 2 })
  if (servers !== undefined) ares.setServers(servers)
  const { search, ndots } = servers === undefined ? searchDomains() : { search: [], ndots: 1 }
  return {
    async resolve<T extends RecordType>(name: string, type: T): Promise<readonly RecordOf[T][]> {
      const absolute = name.endsWith('.')
      const bare = absolute ? name.slice(0, -1) : name
      const searched = search.map((domain) => `${bare}.${domain}`)
      const dots = bare.split('.').length - 1
      const candidates = absolute ? [bare] : dots >= ndots ? [bare, ...searched] : [...searched, bare]
      for (const candidate of candidates) {
        const found = await ask(ares, candidate, type)
        if (found.length > 0) return found as unknown as readonly RecordOf[T][]
      }
      return []
    },
  }
}

async function ask(ares: AresResolver, name: string, type: RecordType): Promise<readonly RecordOf[RecordType][]> {
  try {
    switch (type) {
      case 'A':
        return (await ares.resolve4(name)).map((address) => ({ address }))
      case 'AAAA':
        return (await ares.resolve6(name)).map((address) => ({ address }))
      case 'SRV':
        return (await ares.resolveSrv(name)).map((record) => ({ target: `${record.name}.`, port: record.port }))
      case 'MX':
        return (await ares.resolveMx(name)).map((record) => ({ target: `${record.exchange}.` }))
      case 'NS':
        return (await ares.resolveNs(name)).map((target) => ({ target: `${target}.` }))
    }
  } catch (thrown) {
    const code = (thrown as { code?: string }).code
    if (code === 'ENOTFOUND' || code === 'ENODATA') return []
    throw new PromhiveError('DISCOVERY', `cannot resolve ${type} records of ${name}: ${messageOf(thrown)}`, { name, type }, thrown)
  }
}

function searchDomains(): { search: string[]; ndots: number } {
  let search: string[] = []
  let ndots = 1
  try {
    for (const line of readFileSync('/etc/resolv.conf', 'utf8').split('\n')) {
      const [word, ...rest] = line.trim().split(/\s+/)
      if (word === 'search' || word === 'domain') search = rest.map((domain) => domain.replace(/\.$/, '')).filter((domain) => domain !== '')
      if (word === 'options') for (const option of rest) if (option.startsWith('ndots:')) ndots = Number.parseInt(option.slice(6), 10) || 1
    }
  } catch {
    // no such file: no search domains
  }
  return { search, ndots }
}
