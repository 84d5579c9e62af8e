import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { PromhiveError } from '../../../src/base/errors.ts'
import { nodeResolver } from '../../../src/ports/node/resolver.ts'
import type { RecordType } from '../../../src/ports/resolver.ts'
import { dnsServer, nxdomain, servfail, type DnsAnswer, type DnsServer } from '../../support/dns-server.ts'

let table: Record<string, DnsAnswer>
let server: DnsServer
let directory: string
beforeEach(async () => {
  table = {}
  server = await dnsServer((question) => table[question])
  directory = mkdtempSync(join(tmpdir(), 'promhive-dns-'))
})
afterEach(async () => {
  await server.close()
  rmSync(directory, { recursive: true })
})

const records = (...all: Extract<DnsAnswer, { kind: 'records' }>['records']): DnsAnswer => ({ kind: 'records', records: all })
function resolver(conf = '', timeoutMs = 200) {
  const resolvConf = join(directory, 'resolv.conf')
  writeFileSync(resolvConf, conf)
  return nodeResolver({ servers: [server.address], resolvConf, timeoutMs })
}

const rows: [type: RecordType, answer: DnsAnswer, found: readonly unknown[]][] = [
  [
    'A',
    records({ type: 'A', address: '192.0.2.1' }, { type: 'A', address: '192.0.2.2' }),
    [{ address: '192.0.2.1' }, { address: '192.0.2.2' }],
  ],
  ['AAAA', records({ type: 'AAAA', address: '2001:db8:0:0:0:0:0:1' }), [{ address: '2001:db8::1' }]],
  ['SRV', records({ type: 'SRV', target: 'db.example', port: 5432 }), [{ target: 'db.example.', port: 5432 }]],
  ['MX', records({ type: 'MX', target: 'mail.example' }), [{ target: 'mail.example.' }]],
  ['NS', records({ type: 'NS', target: 'ns.example' }), [{ target: 'ns.example.' }]],
  ['A', nxdomain, []],
  ['SRV', records(), []],
]
it.each(rows)('%s %j', async (type, answer, found) => {
  table[`${type} name.example`] = answer
  expect(await resolver().resolve('name.example', type)).toEqual(found)
})

it('an answer that is cut off is asked for again over TCP', async () => {
  table['A many.example'] = { kind: 'truncated', records: [{ type: 'A', address: '192.0.2.9' }] }
  expect(await resolver().resolve('many.example', 'A')).toEqual([{ address: '192.0.2.9' }])
  expect(server.asked.at(-1)).toBe('tcp A many.example')
})

it.each<[string, DnsAnswer]>([
  ['a server that fails', servfail],
  ['a server that refuses', { kind: 'code', code: 5 }],
  ['a server that is silent', { kind: 'silence' }],
])('%s is an error with the name, soon', async (_, answer) => {
  table['A dead.example'] = answer
  const started = performance.now()
  const failed = await resolver().resolve('dead.example', 'A').then(() => null, (thrown: unknown) => thrown) // prettier-ignore
  expect(failed).toBeInstanceOf(PromhiveError)
  expect(failed).toMatchObject({ code: 'DISCOVERY', detail: { name: 'dead.example', type: 'A' } })
  expect((failed as Error).message).toMatch(/^cannot resolve A records of dead\.example: /)
  expect(performance.now() - started).toBeLessThan(5_000)
})

// What is asked, in order, until a name is known.
const searches: [conf: string, name: string, known: string, asked: string[]][] = [
  ['search a.test b.test.\n', 'db', 'db.b.test', ['db.a.test', 'db.b.test']],
  ['search a.test\n', 'db', 'db', ['db.a.test', 'db']],
  ['search a.test\n', 'db.example', 'db.example', ['db.example']],
  ['search a.test\n', 'db.example', 'db.example.a.test', ['db.example', 'db.example.a.test']],
  ['search a.test\n', 'db.', 'db.a.test', ['db']],
  ['search a.test\noptions ndots:3 timeout:1\n', 'db.x', 'db.x', ['db.x.a.test', 'db.x']],
  ['search a.test\noptions ndots:0\n', 'db', 'db', ['db']],
  ['domain a.test\n', 'db', 'db.a.test', ['db.a.test']],
  ['search x.test\nsearch a.test\n# search b.test\n', 'db', 'db.a.test', ['db.a.test']],
  ['', 'db', '', ['db']],
]
it.each(searches)('%j: %s', async (conf, name, known, asked) => {
  table[`A ${known}`] = records({ type: 'A', address: '192.0.2.1' })
  const found = await resolver(conf).resolve(name, 'A')
  expect(server.asked).toEqual(asked.map((each) => `A ${each}`))
  expect(found).toHaveLength(asked.at(-1) === known ? 1 : 0)
})

it('a name that is known without such records ends the search', async () => {
  table['SRV db.a.test'] = records()
  table['SRV db.b.test'] = records({ type: 'SRV', target: 'x', port: 1 })
  expect(await resolver('search a.test b.test').resolve('db', 'SRV')).toEqual([])
})

it('one search domain that fails does not hide the answer of another, but is no "does not exist" either', async () => {
  table['A db.a.test'] = servfail
  table['A db.b.test'] = records({ type: 'A', address: '192.0.2.1' })
  const with2 = resolver('search a.test b.test')
  expect(await with2.resolve('db', 'A')).toHaveLength(1)
  table['A db.b.test'] = nxdomain
  await expect(with2.resolve('db', 'A')).rejects.toThrow('cannot resolve A records of db')
})

it('search domains are read anew when the file changed', async () => {
  table['A db.b.test'] = records({ type: 'A', address: '192.0.2.1' })
  const changing = resolver('search a.test')
  expect(await changing.resolve('db', 'A')).toEqual([])
  writeFileSync(join(directory, 'resolv.conf'), 'search a.test b.test')
  expect(await changing.resolve('db', 'A')).toHaveLength(1)
})
