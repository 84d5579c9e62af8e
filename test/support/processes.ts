// Child processes for tests: their output is kept, and each is ended by its own process id, at the latest when the test process ends.
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

export class Process {
  readonly #child: ChildProcess
  readonly exited: Promise<number | string>
  /** Everything it said on both streams. */
  log = ''
  #ended = false

  constructor(command: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } })
    this.#child = child
    running.add(child)
    for (const stream of [child.stdout!, child.stderr!]) stream.setEncoding('utf8').on('data', (text: string) => (this.log += text))
    this.exited = new Promise((resolve) => {
      const end = (how: number | string): void => {
        running.delete(child)
        this.#ended = true
        resolve(how)
      }
      // close, not exit: what it said last has come by then
      child.once('close', (code, signal) => end(code ?? signal ?? 'unknown'))
      child.once('error', (error) => end(error.message))
    })
  }

  get pid(): number {
    return this.#child.pid!
  }

  get ended(): boolean {
    return this.#ended
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name)
  }

  /** Sends the signal and waits for the end. @returns exit code, or the signal's name. */
  async stop(name: NodeJS.Signals = 'SIGTERM', timeoutMs = 15_000): Promise<number | string> {
    this.signal(name)
    const ended = await Promise.race([this.exited, sleep(timeoutMs, null, { ref: false })])
    if (ended !== null) return ended
    this.signal('SIGKILL')
    throw new Error(`process ${this.pid} did not end within ${timeoutMs} ms of ${name}:\n${this.log}`)
  }
}

/** Calls until it gives something other than null, undefined or false; a throw counts as not yet. */
export async function until<T>(what: string, check: () => Promise<T> | T, timeoutMs = 10_000, everyMs = 50): Promise<NonNullable<T>> {
  const deadline = performance.now() + timeoutMs
  let last: unknown = null
  for (;;) {
    try {
      const value = await check()
      if (value !== null && value !== undefined && value !== false) return value
      last = value
    } catch (thrown) {
      last = thrown
    }
    if (performance.now() > deadline) {
      throw new Error(`${what}: not within ${timeoutMs} ms, last: ${last instanceof Error ? last.message : JSON.stringify(last)}`)
    }
    await sleep(everyMs)
  }
}

/** A port nobody listens on at the moment. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}

export function temporaryDirectory(): { path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'promhive-test-'))
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) }
}

/** Whether a program is installed. */
export function installed(program: string): boolean {
  try {
    execFileSync('sh', ['-c', 'command -v "$0"', program], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** `skipped: prometheus, promtool not installed`, or '' where all are. */
export function missingPrograms(...programs: readonly string[]): string {
  const missing = programs.filter((program) => !installed(program))
  return missing.length === 0 ? '' : `skipped: ${missing.join(', ')} not installed`
}
