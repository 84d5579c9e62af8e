// A DNS server on loopback that answers from a table, over UDP and TCP. Just enough of RFC 1035, 2782 and 3596 for the resolver's tests.
import { createSocket, type Socket } from 'node:dgram'
import { createServer, type AddressInfo, type Server } from 'node:net'

export type DnsAnswer =
  | { kind: 'records'; records: readonly DnsRecord[] }
  | { kind: 'code'; code: number }
  | { kind: 'silence' }
  /** Over UDP the answer is cut off; over TCP it is whole. */
  | { kind: 'truncated'; records: readonly DnsRecord[] }
export type DnsRecord =
  { type: 'A' | 'AAAA'; address: string } | { type: 'SRV'; target: string; port: number } | { type: 'MX' | 'NS' | 'CNAME'; target: string }

export const nxdomain: DnsAnswer = { kind: 'code', code: 3 }
export const servfail: DnsAnswer = { kind: 'code', code: 2 }

const typeNumbers = { A: 1, NS: 2, CNAME: 5, MX: 15, AAAA: 28, SRV: 33 } as const
const typeNames = new Map<number, string>(Object.entries(typeNumbers).map(([name, number]) => [number, name]))

export type DnsServer = Readonly<{ address: string; asked: string[]; close(): Promise<void> }>

/** @param answer by `TYPE name`; what is not answered for does not exist. */
export async function dnsServer(answer: (question: string) => DnsAnswer | undefined): Promise<DnsServer> {
  const asked: string[] = []
  const reply = (query: Buffer, tcp: boolean): Buffer | null => {
    const { name, type, end } = readQuestion(query)
    const question = `${typeNames.get(type) ?? type} ${name}`
    asked.push(tcp ? `tcp ${question}` : question)
    const found = answer(question) ?? nxdomain
    if (found.kind === 'silence') return null
    const cut = found.kind === 'truncated' && !tcp
    const records = found.kind === 'code' || cut ? [] : found.records
    const header = Buffer.alloc(12)
    query.copy(header, 0, 0, 2)
    header.writeUInt16BE(0x8180 | (cut ? 0x0200 : 0) | (found.kind === 'code' ? found.code : 0), 2)
    header.writeUInt16BE(1, 4)
    header.writeUInt16BE(records.length, 6)
    return Buffer.concat([header, query.subarray(12, end), ...records.map(encodeRecord)])
  }
  const { udp, port } = await bindUdp()
  udp.on('message', (query, from) => {
    const answered = reply(query, false)
    if (answered !== null) udp.send(answered, from.port, from.address)
  })
  const tcp = createServer((socket) => {
    socket.on('error', () => {})
    socket.on('data', (data) => {
      const answered = reply(data.subarray(2), true)
      if (answered === null) return
      const length = Buffer.alloc(2)
      length.writeUInt16BE(answered.length)
      socket.write(Buffer.concat([length, answered]))
    })
  })
  await listening(tcp, port)
  return {
    address: `127.0.0.1:${(tcp.address() as AddressInfo).port}`,
    asked,
    async close() {
      await new Promise<void>((resolve) => udp.close(resolve))
      tcp.close()
    },
  }
}

/** A socket on a port that TCP has free as well: somebody else's connection may have it. */
async function bindUdp(): Promise<{ udp: Socket; port: number }> {
  for (let attempt = 1; ; attempt++) {
    const udp = createSocket('udp4')
    await new Promise<void>((resolve) => udp.bind(0, '127.0.0.1', resolve))
    const { port } = udp.address()
    const probe = createServer()
    try {
      await listening(probe, port)
      await new Promise((resolve) => probe.close(resolve))
      return { udp, port }
    } catch (thrown) {
      udp.close()
      if (attempt === 20) throw thrown
    }
  }
}

function listening(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve))
}

function readQuestion(query: Buffer): { name: string; type: number; end: number } {
  const labels: string[] = []
  let at = 12
  while (query[at] !== 0) {
    const length = query[at]!
    labels.push(query.toString('latin1', at + 1, at + 1 + length))
    at += 1 + length
  }
  return { name: labels.join('.').toLowerCase(), type: query.readUInt16BE(at + 1), end: at + 5 }
}

function encodeRecord(record: DnsRecord): Buffer {
  const data = encodeData(record)
  const head = Buffer.alloc(12)
  head.writeUInt16BE(0xc00c, 0) // the name of the question
  head.writeUInt16BE(typeNumbers[record.type], 2)
  head.writeUInt16BE(1, 4)
  head.writeUInt32BE(60, 6)
  head.writeUInt16BE(data.length, 10)
  return Buffer.concat([head, data])
}

function encodeData(record: DnsRecord): Buffer {
  switch (record.type) {
    case 'A':
      return Buffer.from(record.address.split('.').map(Number))
    case 'AAAA':
      return Buffer.from(
        record.address
          .split(':')
          .map((part) => part.padStart(4, '0'))
          .join(''),
        'hex',
      ) // written in full
    case 'SRV': {
      const head = Buffer.alloc(6)
      head.writeUInt16BE(record.port, 4)
      return Buffer.concat([head, encodeName(record.target)])
    }
    case 'MX':
      return Buffer.concat([Buffer.from([0, 10]), encodeName(record.target)])
    default:
      return encodeName(record.target)
  }
}

function encodeName(name: string): Buffer {
  const labels = name.split('.').filter((label) => label !== '')
  return Buffer.concat([...labels.map((label) => Buffer.from(`${String.fromCharCode(label.length)}${label}`, 'latin1')), Buffer.from([0])])
}
