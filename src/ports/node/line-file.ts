// Lines appended to a file through libuv's pool: one write under way, what comes meanwhile goes out with the next.
import { closeSync, constants, openSync, write } from 'node:fs'
import { messageOf } from '../../base/errors.ts'
import type { LineFile, LinesLost } from '../line-file.ts'
import { diskError } from './disk.ts'

/** Bytes that wait for the disk; what would go beyond is given up. */
const waitingBytesMax = 4 << 20
/** A pipe nobody empties is tried again after this time. */
const fullPipeMs = 50
/** How often, once the file is being closed. */
const fullPipeTries = 20

const { O_WRONLY, O_CREAT, O_APPEND, O_NONBLOCK } = constants

/** @throws PromhiveError as Disk does; INTERNAL for a named pipe nobody reads. */
export function openLineFile(path: string, onLost: LinesLost): LineFile {
  try {
    // O_NONBLOCK: a named pipe must not hold up whoever opens or writes it
    return new NodeLineFile(path, openSync(path, O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK, 0o666), onLost)
  } catch (thrown) {
    throw diskError('open', path, thrown)
  }
}

class NodeLineFile implements LineFile {
  readonly #path: string
  readonly #fd: number
  readonly #onLost: LinesLost
  readonly #ended = Promise.withResolvers<void>()
  #waiting: Buffer[] = []
  #waitingBytes = 0
  #isWriting = false
  #isClosing = false
  #triesLeft = fullPipeTries

  constructor(path: string, fd: number, onLost: LinesLost) {
    this.#path = path
    this.#fd = fd
    this.#onLost = onLost
  }

  write(line: string): void {
    if (this.#isClosing) {
      this.#onLost(1, `${this.#path} is closed`)
      return
    }
    const bytes = Buffer.from(`${line}\n`)
    if (this.#waitingBytes + bytes.length > waitingBytesMax) {
      this.#onLost(1, `${this.#waitingBytes} bytes wait for ${this.#path}`)
      return
    }
    this.#waiting.push(bytes)
    this.#waitingBytes += bytes.length
    if (!this.#isWriting) this.#next()
  }

  close(): Promise<void> {
    if (!this.#isClosing) {
      this.#isClosing = true
      if (!this.#isWriting) this.#next()
    }
    return this.#ended.promise
  }

  #next(): void {
    const lines = this.#waiting
    if (lines.length === 0) {
      this.#isWriting = false
      if (this.#isClosing) this.#end()
      return
    }
    this.#isWriting = true
    this.#waiting = []
    this.#waitingBytes = 0
    this.#put(lines.length === 1 ? lines[0]! : Buffer.concat(lines))
  }

  /** Writes all of it, piece by piece where the system takes less. */
  #put(bytes: Buffer): void {
    write(this.#fd, bytes, 0, bytes.length, null, (thrown, written) => {
      if (thrown !== null) {
        if (thrown.code === 'EAGAIN' && !(this.#isClosing && this.#triesLeft-- <= 0)) {
          setTimeout(() => this.#put(bytes), fullPipeMs)
          return
        }
        this.#onLost(linesIn(bytes), messageOf(diskError('write', this.#path, thrown)))
      } else if (written < bytes.length) {
        this.#put(bytes.subarray(written))
        return
      }
      this.#next()
    })
  }

  #end(): void {
    try {
      closeSync(this.#fd)
    } catch (thrown) {
      this.#onLost(0, messageOf(diskError('close', this.#path, thrown)))
    }
    this.#ended.resolve()
  }
}

function linesIn(bytes: Buffer): number {
  let lines = 0
  for (const byte of bytes) if (byte === 10) lines++
  return lines
}
