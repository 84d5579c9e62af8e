// A virtual network: named hosts that answer requests, with latency, broken connections and partitions by seed.
// Time comes from the injected clock: whoever uses a simulated one must let it advance.
import { PromhiveError } from '../../base/errors.ts'
import { limits } from '../../base/limits.ts'
import type { Rng } from '../../base/rng.ts'
import type { HttpClientOptions } from '../../model/http-options.ts'
import type { Clock } from '../clock.ts'
import type { Http, HttpAnswer, HttpClient, HttpRequest } from '../http.ts'
import { follow, requestError, requestHeaders, type Hop, type Secrets } from '../http-request.ts'

/** A request as the host sees it; header names in lower case, repeated ones joined with ', '. */
export type ServedRequest = Readonly<{
  method: HttpRequest['method']
  url: URL
  headers: Readonly<Record<string, string>>
  body: Uint8Array | undefined
  /** The host it came from. */
  from: string
}>
export type ServedAnswer = Readonly<{ status: number; headers?: Readonly<Record<string, string>>; body?: Uint8Array }>
export type HostHandler = (request: ServedRequest) => ServedAnswer | Promise<ServedAnswer>

/** Probabilities per request, and the one-way delay, drawn evenly. */
export type NetworkFaults = { refused: number; resetBeforeHandler: number; lostAnswer: number; latencyMs: readonly [number, number] }

export interface SimulatedNetwork {
  /** Faults from now on; change it during a run. */
  readonly faults: NetworkFaults
  /** Answers what is sent to `host` (with port, as in a URL: `a:9100`; port 80 and 443 may be left out). Returns the way to take it down. */
  serve(host: string, handler: HostHandler): () => void
  /** The network as one machine sees it. */
  http(from: string): Http
  /** Cuts or mends what `from` sends to `to`; the other direction is its own. */
  partition(from: string, to: string, cut: boolean): void
}

export function simulatedNetwork(clock: Clock, rng: Rng): SimulatedNetwork {
  const hosts = new Map<string, HostHandler>()
  const cuts = new Set<string>()
  const faults: NetworkFaults = { refused: 0, resetBeforeHandler: 0, lostAnswer: 0, latencyMs: [0, 0] }
  const latencyMs = (): number => faults.latencyMs[0] + rng.next() * (faults.latencyMs[1] - faults.latencyMs[0])

  /** One exchange. Never settles where a partition swallows it: the caller's deadline ends it. */
  const deliver = async (served: ServedRequest, never: Promise<never>): Promise<ServedAnswer> => {
    const to = served.url.host
    await clock.sleep(latencyMs())
    if (cuts.has(`${served.from} ${to}`)) return never
    const handler = hosts.get(to)
    if (handler === undefined || rng.chance(faults.refused)) throw new Error(`dial tcp ${to}: connect: connection refused`)
    if (rng.chance(faults.resetBeforeHandler)) throw new Error('read: connection reset by peer')
    const answer = await handler(served)
    await clock.sleep(latencyMs())
    if (cuts.has(`${to} ${served.from}`)) return never
    if (rng.chance(faults.lostAnswer)) throw new Error('EOF')
    return answer
  }

  return {
    faults,
    serve(host, handler) {
      hosts.set(host, handler)
      return () => void (hosts.get(host) === handler && hosts.delete(host))
    },
    http: (from) => ({ client: (options) => simulatedClient(options, clock, from, deliver) }),
    partition: (from, to, cut) => void (cut ? cuts.add(`${from} ${to}`) : cuts.delete(`${from} ${to}`)),
  }
}

const noFiles: Secrets = {
  secret(text, path, purpose) {
    if (text !== '' || path === '') return text
    throw new PromhiveError('CONFIG_INVALID', `unable to read ${purpose}: unable to read file ${path}: no such file or directory`, { path })
  },
}

function simulatedClient(
  options: HttpClientOptions,
  clock: Clock,
  from: string,
  deliver: (served: ServedRequest, never: Promise<never>) => Promise<ServedAnswer>,
): HttpClient {
  let closed = false
  const hop = async (request: HttpRequest, { method, url, body, foreign }: Hop, over: Promise<never>): Promise<Plain> => {
    try {
      if (closed) throw new PromhiveError('UNAVAILABLE', 'http: client closed')
      const { list } = requestHeaders(request, { method, url, body, foreign }, options, 'simulated', noFiles)
      const headers: Record<string, string> = {}
      for (let i = 0; i < list.length; i += 2) {
        const name = list[i]!.toLowerCase()
        headers[name] = headers[name] === undefined ? list[i + 1]! : `${headers[name]}, ${list[i + 1]}`
      }
      const answer = await Promise.race([deliver({ method, url, headers, body, from }, over), over])
      const plain: Record<string, string> = {}
      for (const name in answer.headers) plain[name.toLowerCase()] = answer.headers[name]!
      return { status: answer.status, headers: plain, body: answer.body ?? new Uint8Array(0) }
    } catch (thrown) {
      throw requestError(method, url.href, thrown instanceof Error ? thrown.message : String(thrown), thrown)
    }
  }
  return {
    async request(request) {
      let fail: (why: PromhiveError) => void = () => {}
      const over = new Promise<never>((_, reject) => (fail = reject))
      over.catch(() => {}) // nobody may be waiting for it
      const timer = clock.after(request.timeoutMs, () => fail(new PromhiveError('QUERY_TIMEOUT', 'context deadline exceeded')))
      const abort = (): void => fail(new PromhiveError('QUERY_CANCELED', 'context canceled'))
      if (request.signal?.aborted === true) abort()
      request.signal?.addEventListener('abort', abort)
      try {
        return await finish(request, await follow(request, options.followRedirects, (step) => hop(request, step, over)))
      } finally {
        timer.cancel()
        request.signal?.removeEventListener('abort', abort)
      }
    },
    close: async () => void (closed = true),
  }
}

type Plain = { status: number; headers: Record<string, string>; body: Uint8Array }

async function finish(request: HttpRequest, answer: Plain): Promise<HttpAnswer> {
  const bytesMax = request.bodyBytesMax > 0 ? request.bodyBytesMax : limits.scrapeBodyBytesMax
  const wireBytes = answer.body.length
  const body = answer.headers['content-encoding']?.toLowerCase() === 'gzip' ? await gunzip(answer.body) : answer.body
  if (body.length > bytesMax) throw new PromhiveError('TOO_LARGE', 'body size limit exceeded', { bytesMax })
  const { into } = request
  if (into === undefined) return { status: answer.status, headers: answer.headers, body, wireBytes }
  into.clear()
  into.append(body, 0, body.length)
  return { status: answer.status, headers: answer.headers, body: into.view(), wireBytes }
}

/** The web platform's decompressor: no node: module here. */
async function gunzip(body: Uint8Array): Promise<Uint8Array> {
  const stream = new Blob([new Uint8Array(body)]).stream().pipeThrough(new DecompressionStream('gzip'))
  return new Uint8Array(await new Response(stream).arrayBuffer())
}
