import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { seededRng } from '../../src/base/rng.ts'
import { nodeHttp } from '../../src/ports/node/http.ts'
import { simulatedClock } from '../../src/ports/simulated/clock.ts'
import { simulatedNetwork } from '../../src/ports/simulated/http.ts'
import { httpConformance } from './http.ts'

httpConformance('node', async () => {
  const servers: Server[] = []
  return {
    http: nodeHttp({ environment: {}, userAgent: 'test' }),
    async serve(handler) {
      const server = createServer((request, response) => {
        const chunks: Buffer[] = []
        request.on('data', (chunk: Buffer) => chunks.push(chunk))
        request.on('end', () => {
          const headers = Object.fromEntries(Object.entries(request.headers).map(([k, v]) => [k, String(v)]))
          const reply = handler({ method: request.method!, path: request.url!, headers, body: Buffer.concat(chunks).toString() })
          if (reply !== null) response.writeHead(reply.status ?? 200, reply.headers).end(reply.body)
        })
      })
      servers.push(server)
      // A second host must have another name: 127.0.0.2 is one on Linux.
      const host = `127.0.0.${servers.length}`
      await new Promise<void>((resolve) => server.listen(0, host, resolve))
      return `http://${host}:${(server.address() as AddressInfo).port}`
    },
    deadOrigin: 'http://127.0.0.1:1',
    run: (promise) => promise,
    async close() {
      for (const server of servers) {
        server.closeAllConnections()
        await new Promise((resolve) => server.close(resolve))
      }
    },
  }
})

httpConformance('simulated', async () => {
  const clock = simulatedClock()
  const network = simulatedNetwork(clock, seededRng(1))
  network.faults.latencyMs = [1, 5]
  let hosts = 0
  return {
    http: network.http('me'),
    async serve(handler) {
      const host = `host-${hosts++}:9100`
      network.serve(host, ({ method, url, headers, body }) => {
        const reply = handler({ method, path: url.pathname + url.search, headers, body: Buffer.from(body ?? []).toString() })
        if (reply === null) return new Promise(() => {})
        return { status: reply.status ?? 200, headers: reply.headers ?? {}, body: Buffer.from(reply.body ?? '') }
      })
      return `http://${host}`
    },
    deadOrigin: 'http://nobody:1',
    async run(promise) {
      let pending = true
      const done = promise.finally(() => (pending = false))
      done.catch(() => {})
      while (pending) await clock.advance(1)
      return done
    },
    close: async () => {},
  }
})
