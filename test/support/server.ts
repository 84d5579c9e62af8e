// The whole server as a child process on a port of its own, asked over HTTP.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Process, temporaryDirectory, until } from './processes.ts'

export const root = fileURLToPath(new URL('../..', import.meta.url))
const own = join(root, 'node_modules/.bin/node')
/** The Node the project brings along: the one that runs the tests may be older. */
export const node = existsSync(own) ? own : process.execPath
export const program = join(root, 'src/cli/promhive.ts')

export type VectorSample = Readonly<{ metric: Readonly<Record<string, string>>; value: number; timeMs: number }>
export type MatrixSeries = Readonly<{
  metric: Readonly<Record<string, string>>
  values: readonly (readonly [timeMs: number, value: number])[]
}>

export type ServerOptions = Readonly<{
  /** prometheus.yml. */
  config: string
  flags?: readonly string[]
  /** Other files beside it, by name. */
  files?: Readonly<Record<string, string>>
  /** A web configuration (--web.config.file). */
  web?: string
  /** How requests are made, where not by plain fetch. */
  scheme?: 'http' | 'https'
  /** A command that runs the server, which is appended to it; it becomes that process. */
  wrap?: (dataDirectory: string) => readonly string[]
  /** The launcher, where it is not that of this checkout. */
  launcher?: string
}>

/** A directory with a configuration and data that several runs of the server can use one after the other. */
export class ServerHome {
  readonly path: string
  readonly #remove: () => void
  readonly #flags: readonly string[]
  readonly #scheme: string
  readonly #wrap: readonly string[]
  readonly #launcher: string

  constructor({ config, flags = [], files = {}, web, scheme = 'http', wrap, launcher = program }: ServerOptions) {
    const { path, remove } = temporaryDirectory()
    this.path = path
    this.#remove = remove
    this.#scheme = scheme
    this.#launcher = launcher
    this.#wrap = wrap?.(this.dataDirectory) ?? []
    this.write('prometheus.yml', config)
    for (const [name, text] of Object.entries(files)) this.write(name, text)
    if (web !== undefined) this.write('web.yml', web)
    this.#flags = [...(web === undefined ? [] : [`--web.config.file=${join(path, 'web.yml')}`]), ...flags]
  }

  get dataDirectory(): string {
    return join(this.path, 'data')
  }

  write(name: string, text: string): void {
    const path = join(this.path, name)
    mkdirSync(join(path, '..'), { recursive: true })
    writeFileSync(path, text)
  }

  /** Starts without waiting for anything: for starts that are to fail. */
  spawn(...extra: readonly string[]): Process {
    const [command, ...before] = [...this.#wrap, node]
    return new Process(command, [
      ...before,
      this.#launcher,
      'serve',
      `--config.file=${join(this.path, 'prometheus.yml')}`,
      `--storage.tsdb.path=${this.dataDirectory}`,
      '--web.listen-address=127.0.0.1:0',
      ...this.#flags,
      ...extra,
    ])
  }

  /** `serve` with these flags alone. */
  spawnBare(...flags: readonly string[]): Process {
    return new Process(node, [program, 'serve', '--web.listen-address=127.0.0.1:0', ...flags])
  }

  /** Starts and waits until it is ready. */
  async start(...extra: readonly string[]): Promise<Server> {
    const child = this.spawn(...extra)
    const address = await until(
      'the server is ready',
      () => /msg="Server is ready.*? address=(\S+)/.exec(child.log)?.[1] ?? (child.ended ? 'ended' : null),
      20_000,
      10,
    ).catch((thrown: unknown) => {
      child.signal('SIGKILL')
      throw new Error(`${String(thrown)}\n${child.log}`)
    })
    if (address === 'ended') throw new Error(`the server ended with ${await child.exited}:\n${child.log}`)
    return new Server(child, `${this.#scheme}://${address}`)
  }

  remove(): void {
    this.#remove()
  }
}

export class Server {
  readonly process: Process
  readonly url: string
  constructor(child: Process, url: string) {
    this.process = child
    this.url = url
  }

  get address(): string {
    return new URL(this.url).host
  }

  get log(): string {
    return this.process.log
  }

  /** `/api/v1/<path>`; throws with the API's message where it answers with an error. */
  async api<T>(path: string, parameters: Readonly<Record<string, string | readonly string[]>> = {}, init: RequestInit = {}): Promise<T> {
    const form = new URLSearchParams()
    for (const [name, value] of Object.entries(parameters)) {
      for (const one of typeof value === 'string' ? [value] : value) form.append(name, one)
    }
    const response = await fetch(`${this.url}/api/v1/${path}?${form}`, init)
    const answer = (await response.json()) as { status: string; data: T; error?: string; errorType?: string }
    if (answer.status !== 'success') throw new Error(`${response.status} ${answer.errorType}: ${answer.error}`)
    return answer.data
  }

  async query(query: string, timeMs?: number): Promise<VectorSample[]> {
    const time = timeMs === undefined ? {} : { time: String(timeMs / 1000) }
    const data = await this.api<{ result: { metric: Record<string, string>; value: [number, string] }[] }>('query', { query, ...time })
    return data.result.map(({ metric, value }) => ({ metric, value: Number(value[1]), timeMs: Math.round(value[0] * 1000) }))
  }

  /** The only sample's value, null where there is none. */
  async value(query: string, timeMs?: number): Promise<number | null> {
    const samples = await this.query(query, timeMs)
    if (samples.length > 1) throw new Error(`${samples.length} samples for ${query}`)
    return samples[0]?.value ?? null
  }

  /** Raw samples: `selector[range]`. */
  async samples(query: string, timeMs?: number): Promise<MatrixSeries[]> {
    const time = timeMs === undefined ? {} : { time: String(timeMs / 1000) }
    const data = await this.api<{ result: { metric: Record<string, string>; values: [number, string][] }[] }>('query', { query, ...time })
    return data.result.map(({ metric, values }) => ({
      metric,
      values: values.map(([seconds, text]) => [Math.round(seconds * 1000), Number(text)] as const),
    }))
  }

  /** One of its own metrics, without labels. */
  async metric(name: string): Promise<number | null> {
    const text = await (await fetch(`${this.url}/metrics`)).text()
    const match = new RegExp(`^${name} (\\S+)$`, 'm').exec(text)
    return match === null ? null : Number(match[1])
  }

  stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | string> {
    return this.process.stop(signal)
  }
}
