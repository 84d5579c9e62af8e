// DNS through Node's resolver (c-ares), which asks the servers of /etc/resolv.conf in turn, over TCP where an answer is cut off, but knows no search
// domains: those are added here. Source of the order of names: resolv.conf(5), prometheus discovery/dns.
import { Resolver as AresResolver } from 'node:dns/promises'
import { readFileSync, statSync } from 'node:fs'
import { messageOf, PromhiveError } from '../../base/errors.ts'
import type { RecordOf, RecordType, Resolver } from '../resolver.ts'

export type ResolverOptions = Readonly<{
  /** Instead of the system's, as `address` or `address:port`. */
  servers?: readonly string[]
  /** Where search domains and servers are written; read anew after it changed. */
  resolvConf?: string
  /** Of the first try with one server; it doubles for the second and last. */
  timeoutMs?: number
}>

type System = Readonly<{ ares: AresResolver; search: readonly string[]; ndots: number; version: string }>

export function nodeResolver({ servers, resolvConf = '/etc/resolv.conf', timeoutMs = 2_000 }: ResolverOptions = {}): Resolver {
  let system: System | null = null
  const current = (): System => {
    const version = versionOf(resolvConf)
    if (system === null || system.version !== version) {
      const ares = new AresResolver({ timeout: timeoutMs, tries: 2 }) // reads the system's servers when it is made
      if (servers !== undefined) ares.setServers(servers)
      system = { ares, ...searchDomains(resolvConf), version }
    }
    return system
  }
  return {
    async resolve<T extends RecordType>(name: string, type: T): Promise<readonly RecordOf[T][]> {
      const { ares, search, ndots } = current()
      let failure: unknown = null
      for (const candidate of namesToTry(name, search, ndots)) {
        try {
          const found = await ask(ares, candidate, type)
          // known, if only with other records: nothing further is asked
          if (found !== null) return found as unknown as readonly RecordOf[T][]
        } catch (thrown) {
          failure ??= thrown // another name may do
        }
      }
      if (failure === null) return []
      throw new PromhiveError('DISCOVERY', `cannot resolve ${type} records of ${name}: ${messageOf(failure)}`, { name, type }, failure)
    },
  }
}

/** A name that ends in a dot is complete; one with fewer dots than `ndots` is tried with the search domains first. */
function namesToTry(name: string, search: readonly string[], ndots: number): string[] {
  if (name.endsWith('.')) return [name.slice(0, -1)]
  const searched = search.map((domain) => (domain === '' ? name : `${name}.${domain}`))
  return name.split('.').length > ndots ? [name, ...searched] : [...searched, name]
}

/** Null where the name does not exist; [] where it exists without such records. */
async function ask(ares: AresResolver, name: string, type: RecordType): Promise<readonly RecordOf[RecordType][] | null> {
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
    if (code === 'ENOTFOUND') return null
    if (code === 'ENODATA') return []
    throw thrown
  }
}

function versionOf(path: string): string {
  const stat = statSync(path, { throwIfNoEntry: false })
  return stat === undefined ? '' : `${stat.ino} ${stat.size} ${stat.mtimeMs}`
}

function searchDomains(path: string): { search: string[]; ndots: number } {
  let search: string[] = []
  let ndots = 1
  try {
    for (const line of readFileSync(path, 'utf8').split('\n')) {
      const [word, ...rest] = line.trim().split(/\s+/)
      if (word === 'domain') search = rest.slice(0, 1)
      if (word === 'search') search = rest
      if (word !== 'options') continue
      const given = rest.findLast((option) => /^ndots:\d+$/.test(option))
      if (given !== undefined) ndots = Math.min(15, Number(given.slice('ndots:'.length)))
    }
  } catch {
    // no such file: no search domains
  }
  return { search: search.map((domain) => domain.replace(/\.$/, '')), ndots }
}
