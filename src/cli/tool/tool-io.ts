// The tools' hands on the machine: lines out, files and standard input in.
import { existsSync, readFileSync, statSync, writeSync } from 'node:fs'
import { textOf, type TextSource } from '../../../protocols/exposition/pieces.ts'
import { nodeClock } from '../../ports/node/clock.ts'
import { nodeDisk } from '../../ports/node/disk.ts'
import { nodeHttp } from '../../ports/node/http.ts'
import { nodeRandom } from '../../ports/node/random.ts'
import { nodeResolver } from '../../ports/node/resolver.ts'
import { nodeWatcher } from '../../ports/node/watcher.ts'
import { messageOf } from '../../base/errors.ts'
import type { DiscoveryPorts } from '../../discovery/mechanism.ts'
import { ulidFrom } from '../../tsdb/block/ulid.ts'
import { nodeConfigFiles } from '../config-files.ts'
import { buildInfo } from '../serve/build-info.ts'
import type { CheckIo } from './check-io.ts'
import { progressEvery, type Progress } from './progress.ts'

export type ToolIo = CheckIo & Readonly<{ flush(): void }>

const flushBytes = 1 << 16

/** Output is gathered, so that a dump of millions of lines is not millions of writes; `flush` at the end. */
export function toolIo(): ToolIo {
  let gathered = ''
  const flush = (): void => {
    if (gathered !== '') writeAll(1, gathered)
    gathered = ''
  }
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0) // the reader has seen enough: `… | head`
    throw error
  })
  return {
    flush,
    print(line) {
      gathered += `${line}\n`
      if (gathered.length >= flushBytes) flush()
    },
    printError(line) {
      flush() // both streams may be one terminal: in the order they were said
      writeAll(2, `${line}\n`)
    },
    // a pipe such as <(…) has no size and is read to its end
    readFile: (path) =>
      path.startsWith('/dev/fd/') || path === '/dev/stdin' ? readFileSync(path, 'utf8') : nodeConfigFiles.readFile(path),
    glob: (pattern) => nodeConfigFiles.glob(pattern),
    exists: existsSync,
    async readStdin() {
      const chunks: Buffer[] = []
      for await (const chunk of process.stdin) chunks.push(chunk as Buffer)
      return Buffer.concat(chunks)
    },
  }
}

const sleeper = new Int32Array(new SharedArrayBuffer(4))

/** Waits where a pipe is full: what is not written yet would be lost at the end of the process, and would fill the memory until then. */
function writeAll(stream: 1 | 2, text: string): void {
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length;) {
    try {
      at += writeSync(stream, bytes, at)
    } catch (thrown) {
      const { code } = thrown as NodeJS.ErrnoException
      if (code === 'EPIPE') process.exit(0) // the reader has seen enough: `… | head`
      if (code !== 'EAGAIN') {
        if (stream === 1) writeAll(2, `cannot write the output: ${messageOf(thrown)}\n`)
        process.exit(1)
      }
      Atomics.wait(sleeper, 0, 0, 2)
    }
  }
}

const userAgent = `promtool/${buildInfo.version}`

export const toolPorts = {
  clock: nodeClock(),
  disk: nodeDisk(),
  http: nodeHttp({ environment: process.env, userAgent }),
} as const

const progressMs = 2_000
/** Of long work, on standard error. */
export function progressOf(io: ToolIo): Progress {
  return progressEvery(progressMs, () => toolPorts.clock.monotonicMs(), io.printError)
}

/** A file that is read in pieces; what has no size, such as a pipe, is read to its end. Open until the process ends. */
export function textFile(path: string): TextSource {
  const { disk } = toolPorts
  return existsSync(path) && !statSync(path).isFile() ? textOf(readFileSync(path)) : disk.open(path, 'read')
}

const random = nodeRandom()
export function newUlid(): string {
  return ulidFrom(toolPorts.clock.nowMs(), Buffer.from(random.bytes(16)).toString('hex'))
}

export function discoveryPorts(): Omit<DiscoveryPorts, 'log' | 'metrics'> {
  return { ...toolPorts, resolver: nodeResolver(), watcher: nodeWatcher(), userAgent }
}
