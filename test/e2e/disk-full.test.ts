// A disk that is full, for real: the data directory is a small tmpfs in a mount namespace of the server's own, which the test fills and empties again
// through /proc. Skipped where the machine allows no such namespaces. What may go wrong inside is tested in test/sim/storage-full.test.ts.
import { execFileSync } from 'node:child_process'
import { closeSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { Exporter } from '../support/exporter.ts'
import { until } from '../support/processes.ts'
import { compressed, encodeV1, type WireSeries } from '../support/remote-write.ts'
import { ServerHome, type Server } from '../support/server.ts'

const mount = (size: string): string => `mount -t tmpfs -o size=${size} none`

function works(): boolean {
  try {
    execFileSync('unshare', ['-rm', 'sh', '-c', `${mount('1m')} /mnt`], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** Takes all the room there is. */
function fill(path: string): void {
  const file = openSync(path, 'w')
  try {
    for (let size = 1 << 20; size >= 1; size >>= 1) {
      try {
        for (;;) writeSync(file, new Uint8Array(size))
      } catch (thrown) {
        if ((thrown as NodeJS.ErrnoException).code !== 'ENOSPC') throw thrown
      }
    }
  } finally {
    closeSync(file)
  }
}

const series = 200
/** What a batch holds is told by its time. */
async function write(server: Server, timeMs: number): Promise<Response> {
  const list = Array.from({ length: series }, (_, n): WireSeries => ({
    labels: [['__name__', 'm'], ['n', String(n)]], // prettier-ignore
    samples: [[timeMs % 1000, timeMs]],
  }))
  const response = await fetch(`${server.url}/api/v1/write`, {
    method: 'POST',
    headers: { 'Content-Encoding': 'snappy', 'Content-Type': 'application/x-protobuf' },
    body: new Uint8Array(compressed(encodeV1(list))),
  })
  await response.arrayBuffer()
  return response
}

it.skipIf(!works())('refuses writes with 503 and Retry-After, goes on reading, and recovers', { timeout: 90_000 }, async () => {
  const exporter = await Exporter.text(() => 'up_and_running 1\n')
  onTestFinished(() => exporter.stop())
  const home = new ServerHome({
    config: `global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs: [{job_name: j, static_configs: [{targets: ["${exporter.address}"]}]}]\n`,
    flags: ['--web.enable-remote-write-receiver', '--web.enable-admin-api'],
    wrap: (data) => ['unshare', '-rm', 'sh', '-c', `mkdir -p "$0" && ${mount('24m')} "$0" && exec "$@"`, data],
  })
  onTestFinished(() => home.remove())
  const server = await home.start()
  const ballast = join(`/proc/${server.process.pid}/root`, home.dataDirectory, 'ballast')
  let timeMs = Date.now() - 60_000
  let acknowledged = 0
  for (; acknowledged < 20; acknowledged++) expect((await write(server, timeMs++)).status).toBe(204)
  const total = async (): Promise<number | null> => server.value('sum(count_over_time(m[10m]))', timeMs)
  expect(await total()).toBe(acknowledged * series)

  fill(ballast)
  // the log may have a little room left in its last page
  let refusal: Response | null = null
  for (let tries = 0; tries < 200 && refusal === null; tries++) {
    const response = await write(server, timeMs++)
    if (response.status === 204) acknowledged++
    else refusal = response
  }
  expect(refusal?.status).toBe(503)
  expect(Number(refusal!.headers.get('retry-after'))).toBeGreaterThan(0)
  await until('a scrape cannot be stored', () => server.log.includes('Scrape commit failed'), 20_000)
  expect(await server.metric('prometheus_tsdb_wal_writes_failed_total')).toBeGreaterThan(0)
  // queries are answered, nothing acknowledged is gone; what needs the disk fails with a reason
  expect(await total()).toBe(acknowledged * series)
  await expect(server.api('admin/tsdb/snapshot', {}, { method: 'POST' })).rejects.toThrow(/^50\d .*(space|ENOSPC)/i)
  const during = Date.now()

  rmSync(ballast)
  await until('there is room again', async () => {
    const { status } = await write(server, timeMs++)
    if (status === 204) acknowledged++
    return status === 204
  })
  expect(await total()).toBe(acknowledged * series)
  await until(
    'scrapes are stored again',
    async () => {
      const [sample] = await server.query('timestamp(up_and_running)')
      return sample !== undefined && sample.value * 1000 > during + 1000
    },
    20_000,
  )
  expect(await server.stop()).toBe(0)
})
