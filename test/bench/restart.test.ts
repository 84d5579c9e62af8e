// Time from a start after kill -9 until everything is there again. Small in every run; BENCH=1: a million series of 1000 targets.
// BENCH_PEERS=/usr/bin/prometheus,… puts other programs with Prometheus' flags through the same, one after the other.
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { freePort, temporaryDirectory, until } from '../support/processes.ts'
import { node, program } from '../support/server.ts'

const large = process.env['BENCH'] === '1'
const [targets, series, intervalSeconds, runSeconds] = large ? [1_000, 1_000, 30, 75] : [4, 250, 1, 3]
const peers = (process.env['BENCH_PEERS'] ?? '').split(',').filter((path) => path !== '')
const limitMs = 120_000

const { path: root, remove } = temporaryDirectory()
const exporter = createServer((request, response) => {
  response.setHeader('Content-Type', 'text/plain; version=0.0.4')
  response.end(page(Number(request.url!.slice(1))))
})
const running = new Set<ChildProcess>()
beforeAll(() => new Promise<void>((resolve) => exporter.listen(0, '127.0.0.1', resolve)))
afterAll(async () => {
  for (const child of running) await end(child)
  exporter.close()
  remove()
})

function page(target: number): string {
  const lines: string[] = []
  for (let i = 0; i < series; i++)
    lines.push(`bench_${i % 50}{path="/api/v1/resource/${i % 97}",code="${200 + (i % 5)}",item="${i}"} ${i * target}`)
  return `${lines.join('\n')}\n`
}

function configuration(): string {
  const { port } = exporter.address() as AddressInfo
  const list = Array.from(
    { length: targets },
    (_, i) => `  - {targets: ['127.0.0.1:${port}'], labels: {__metrics_path__: /${i}, instance: 'node-${i}:9100'}}\n`,
  )
  const global = `global: {scrape_interval: ${intervalSeconds}s, scrape_timeout: ${Math.min(10, intervalSeconds)}s}\n`
  return `${global}scrape_configs:\n- job_name: bench\n  static_configs:\n${list.join('')}`
}

/** Resolves with how long it took until /-/ready said 200. */
async function start(command: readonly string[], directory: string, port: number): Promise<{ child: ChildProcess; readyMs: number }> {
  const flags = [
    `--config.file=${directory}/prometheus.yml`,
    `--storage.tsdb.path=${directory}/data`,
    `--web.listen-address=127.0.0.1:${port}`,
  ]
  const startMs = performance.now()
  const child = spawn(command[0]!, [...command.slice(1), ...flags], { stdio: 'ignore' })
  running.add(child)
  const isReady = async (): Promise<true | null> =>
    (await fetch(`http://127.0.0.1:${port}/-/ready`).catch(() => null))?.status === 200 ? true : null
  await until('it is ready', isReady, limitMs, 10)
  return { child, readyMs: performance.now() - startMs }
}

async function end(child: ChildProcess): Promise<void> {
  const gone = new Promise((resolve) => child.once('exit', resolve))
  if (child.exitCode === null && child.signalCode === null && child.kill('SIGKILL')) await gone
  running.delete(child)
}

async function countOf(port: number, selector: string, timeMs: number): Promise<number> {
  const query = encodeURIComponent(`count(${selector})`)
  const response = await fetch(`http://127.0.0.1:${port}/api/v1/query?query=${query}&time=${timeMs / 1000}`)
  const answer = (await response.json()) as { data: { result: readonly { value: readonly [number, string] }[] } }
  return Number(answer.data.result[0]?.value[1] ?? 0)
}

it.each([['promhive', [node, program, 'serve']], ...peers.map((path): [string, string[]] => [path, [path]])])(
  '%s is ready again after kill -9 with all that could be seen before',
  { timeout: 3 * limitMs },
  async (name, command) => {
    const directory = join(root, name.replaceAll('/', '-'))
    mkdirSync(directory)
    writeFileSync(join(directory, 'prometheus.yml'), configuration())
    const port = await freePort()
    const first = await start(command, directory, port)
    await new Promise((resolve) => setTimeout(resolve, runSeconds * 1000))
    let timeMs = 0
    const all = async (): Promise<number | null> => {
      timeMs = Date.now()
      const found = await countOf(port, '{job="bench"}', timeMs)
      return found >= targets * series ? found : null
    }
    const before = await until('every series is there', all, limitMs, 500)
    await end(first.child)

    // nobody is scraped now, so that only what recovery costs is seen
    writeFileSync(join(directory, 'prometheus.yml'), 'global: {}\n')
    const { child, readyMs } = await start(command, directory, port)
    const ticks = readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ')[1]!.split(' ')
    const residentKiB = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))![1]
    expect(await countOf(port, '{job="bench"}', timeMs)).toBe(before)
    if (large)
      console.log(
        `${name}: ${before} series, ready in ${readyMs.toFixed(0)} ms, ${(Number(ticks[11]) + Number(ticks[12])) * 10} ms CPU, ` +
          `peak ${(Number(residentKiB) / 1024).toFixed(0)} MiB`,
      )
    await end(child)
  },
)
