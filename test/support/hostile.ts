// Queries that keep a server busy in every phase of their work, and data for them.
import { readFileSync } from 'node:fs'
import { request, type ClientRequest } from 'node:http'
import { join } from 'node:path'
import { compressed, encodeV1 } from './remote-write.ts'
import type { Server } from './server.ts'

export const hostileSeries = 1000
const samplesEach = 720
const everyMs = 5_000

/** An hour of a metric `m` with 1000 series, written by remote write. Ends before now. @returns the times of the first and last sample, ms. */
export async function writeHour(server: Server, nowMs: number): Promise<{ startMs: number; endMs: number }> {
  const endMs = Math.floor(nowMs / everyMs) * everyMs - 60_000
  const startMs = endMs - (samplesEach - 1) * everyMs
  const partLength = 60
  for (let from = 0; from < samplesEach; from += partLength) {
    const series = Array.from({ length: hostileSeries }, (_, i) => ({
      labels: [
        ['__name__', 'm'],
        ['group', String(i % 10)],
        ['i', String(i)],
      ] as const,
      samples: Array.from(
        { length: partLength },
        (_s, k) => [((i * 7919 + (from + k) * 104729) % 1000) / 8, startMs + (from + k) * everyMs] as const,
      ),
    }))
    const response = await fetch(`${server.url}/api/v1/write`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/x-protobuf', 'Content-Encoding': 'snappy' },
      body: compressed(encodeV1(series)) as Uint8Array<ArrayBuffer>,
    })
    if (!response.ok) throw new Error(`remote write: ${response.status} ${await response.text()}`)
  }
  return { startMs, endMs }
}

/** Range queries over that hour that take a second and more, by what they spend their time with. `stepMs`: of the query. */
export const hostileQueries: readonly Readonly<{ phase: string; query: string; stepMs: number }>[] = [
  { phase: 'decoding', query: Array.from({ length: 150 }, (_, i) => `count_over_time(m[${3000 + i}s])`).join(' or '), stepMs: 1_800_000 },
  {
    phase: 'window function',
    query: 'sum(quantile_over_time(0.9, m[30m])) + sum(deriv(m[30m])) + sum(stddev_over_time(m[30m]))',
    stepMs: 500,
  },
  { phase: 'aggregation', query: 'count(quantile by (group) (0.9, m + 1))', stepMs: 500 },
  { phase: 'binary join', query: `count(${Array.from({ length: 20 }, () => 'm').join(' + on(i) group_left() ')})`, stepMs: 1_000 },
  { phase: 'sort', query: 'count(topk(500, m + 1))', stepMs: 500 },
  { phase: 'result', query: 'm', stepMs: 400 },
  {
    phase: 'subquery',
    query: 'sum(quantile_over_time(0.9, quantile_over_time(0.9, m[5m])[30m:2s])) + sum(deriv(max_over_time(m[5m])[30m:2s]))',
    stepMs: 1_000,
  },
]

/** A query under way in a connection of its own. */
export class Asked {
  readonly #request: ClientRequest
  /** HTTP status, or null where it was aborted; when the last byte had come. */
  readonly answered: Promise<Readonly<{ status: number | null; bytes: number; text: string }>>
  constructor(server: Server, path: string, parameters: Readonly<Record<string, string>>) {
    this.#request = request(`${server.url}/api/v1/${path}?${new URLSearchParams(parameters)}`, { agent: false })
    this.answered = new Promise((resolve) => {
      this.#request.once('error', () => resolve({ status: null, bytes: 0, text: '' }))
      this.#request.once('response', (response) => {
        let bytes = 0
        let text = ''
        response.on('data', (part: Buffer) => {
          bytes += part.length
          if (text.length < 1000) text += part.toString('utf8', 0, 1000)
        })
        response.once('end', () => resolve({ status: response.statusCode!, bytes, text }))
        response.once('error', () => resolve({ status: null, bytes, text }))
      })
    })
    this.#request.end()
  }
  /** Closes the connection. */
  abort(): void {
    this.#request.destroy()
  }
}

/** How many queries the server says are running, by its file. */
export function activeQueries(dataDirectory: string): number {
  return readFileSync(join(dataDirectory, 'queries.active'), 'latin1').split('{"query"').length - 1
}

/** CPU time a process and its threads have used, ms. */
export function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ')
  return (Number(fields[11]) + Number(fields[12])) * 10
}
