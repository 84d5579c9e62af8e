// A small program instrumented with prom-client, as a user would write one. Its work is ordered over HTTP:
//   GET /work?jobs=3&outcome=ok    does three jobs of 0.2 s each, on paper
//   GET /queue?length=12           sets the queue's length
// Prints its address and serves /metrics until it is ended.
import { createServer } from 'node:http'
import { Counter, Gauge, Histogram, Registry, Summary, collectDefaultMetrics } from 'prom-client'

const registry = new Registry()
registry.setDefaultLabels({ service: 'worker' })
collectDefaultMetrics({ register: registry })
const jobs = new Counter({ name: 'jobs_total', help: 'Jobs done.', labelNames: ['outcome'], registers: [registry] })
const duration = new Histogram({
  name: 'job_duration_seconds',
  help: 'How long jobs took.',
  buckets: [0.1, 0.25, 1],
  registers: [registry],
})
const size = new Summary({ name: 'job_size_bytes', help: 'How large jobs were.', percentiles: [0.5, 0.9], registers: [registry] })
const queue = new Gauge({ name: 'queue_length', help: 'Jobs waiting.', registers: [registry] })

const server = createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url!, 'http://localhost')
  if (pathname === '/metrics') {
    void registry.metrics().then((text) => response.setHeader('Content-Type', registry.contentType).end(text))
    return
  }
  if (pathname === '/work') {
    for (let i = 0; i < Number(searchParams.get('jobs')); i++) {
      jobs.inc({ outcome: searchParams.get('outcome') ?? 'ok' })
      duration.observe(0.2)
      size.observe(1000 + i)
    }
  }
  if (pathname === '/queue') queue.set(Number(searchParams.get('length')))
  response.end()
})
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as { port: number }
  console.log(`address=127.0.0.1:${port}`)
})
