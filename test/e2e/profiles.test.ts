// /debug/pprof of a whole server: what V8 tells of all threads, in messages that `go tool pprof` reads where there is one.
import { execFileSync, spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { ServerHome, type Server } from '../support/server.ts'

let home: ServerHome
let server: Server
beforeAll(async () => {
  home = new ServerHome({ config: 'global: {scrape_interval: 1s}\n', flags: ['--storage.workers=1'] })
  server = await home.start()
}, 30_000)
afterAll(async () => {
  await server.stop()
  home.remove()
})

const hasGo = spawnSync('go', ['version']).status === 0
async function take(kind: string): Promise<string> {
  const answer = await fetch(`${server.url}/debug/pprof/${kind}`)
  expect(answer.status, kind).toBe(200)
  const bytes = await answer.bytes()
  if (hasGo) {
    const path = join(home.path, 'profile.pb.gz')
    writeFileSync(path, bytes)
    const text = execFileSync('go', ['tool', 'pprof', '-raw', path], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
    expect(text).toMatch(/^PeriodType: /m)
  }
  return gunzipSync(bytes).toString('latin1')
}

it('profiles the CPU time of all threads, one profile at a time', async () => {
  const first = take('profile?seconds=1')
  const start = Date.now()
  while (Date.now() - start < 3000) {
    const second = await fetch(`${server.url}/debug/pprof/profile?seconds=1`)
    if (second.status === 500) {
      expect(await second.text()).toBe('Could not enable profiling: cpu profiling already in use\n')
      break
    }
    await second.bytes()
  }
  // both threads, and the program's own functions by name and file
  const strings = await first
  for (const text of ['nanoseconds', 'main', 'lane-1', '.ts']) expect(strings).toContain(text)
})

it('gives up with the client, and takes the next one', async () => {
  await expect(fetch(`${server.url}/debug/pprof/profile?seconds=60`, { signal: AbortSignal.timeout(300) })).rejects.toThrow()
  for (let tries = 0; ; tries++) {
    const answer = await fetch(`${server.url}/debug/pprof/profile?seconds=1`)
    await answer.bytes()
    if (answer.status === 200) break
    expect(tries).toBeLessThan(100)
  }
})

it('shows heaps, actors, threads, and nothing of locks', async () => {
  expect(await take('heap')).toContain('inuse_space')
  expect(await take('allocs?seconds=1')).toContain('alloc_space')
  expect(await take('goroutine')).toContain('event loop')
  expect(await take('threadcreate')).toContain('lane-1')
  for (const kind of ['block', 'mutex']) expect(await take(kind)).toContain('contentions')
  expect(await (await fetch(`${server.url}/debug/pprof/cmdline`)).text()).toContain('--storage.workers=1')
  expect((await fetch(`${server.url}/debug/pprof/trace`)).status).toBe(501)
})
