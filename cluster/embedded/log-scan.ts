// Reading a segment from front to back when the log is opened.
import type { DiskFile } from '../../src/ports/disk.ts'
import { decodeRecordHead, recordBytes, recordHeadBytes, recordMagic, segmentHeadBytes, viewOf, type RecordHead } from './log-format.ts'

const windowBytesMin = 4 << 10
const windowBytesMax = 1 << 20

export type ScanEvents = Readonly<{
  /** A record with an undamaged header; its body was not read. */
  record: (head: RecordHead) => void
  /** Bytes that are no record, up to the next one or the end of the file. */
  hole: (start: number, end: number) => void
}>

/**
 * Goes through the records of a segment behind its head.
 * @param pause awaited every few MiB, so that the process stays responsive.
 */
export async function scanSegment(file: DiskFile, events: ScanEvents, pause: () => Promise<void>): Promise<void> {
  const end = file.size()
  const window = new Window(file, end)
  let position = segmentHeadBytes
  let sincePause = 0
  while (position < end) {
    const head = window.head(position)
    if (head === null || position + recordBytes(head.bodyBytes) > end) {
      const next = window.nextHead(position + 8)
      events.hole(position, next)
      position = next
      continue
    }
    const size = recordBytes(head.bodyBytes)
    events.record(head)
    position += size
    sincePause += recordHeadBytes
    if (sincePause > windowBytesMax * 4) {
      sincePause = 0
      await pause()
    }
  }
}

/** A moving view of the file: large while reading on, small after a jump over a body. */
class Window {
  readonly #file: DiskFile
  readonly #end: number
  readonly #bytes = new Uint8Array(windowBytesMax)
  readonly #view = viewOf(this.#bytes)
  #start = 0
  #filled = 0
  #ask = windowBytesMin

  constructor(file: DiskFile, end: number) {
    this.#file = file
    this.#end = end
  }

  /** Makes [position, position + count) part of the window where the file is long enough; count ≤ windowBytesMax. */
  #hold(position: number, count: number): void {
    if (position >= this.#start && position + count <= this.#start + this.#filled) return
    const near = position >= this.#start && position <= this.#start + this.#filled
    this.#ask = near ? Math.min(this.#ask * 4, windowBytesMax) : windowBytesMin
    const length = Math.min(Math.max(this.#ask, count), this.#end - position)
    this.#filled = length <= 0 ? 0 : this.#file.read(this.#bytes.subarray(0, length), position)
    this.#start = position
  }

  head(position: number): RecordHead | null {
    this.#hold(position, recordHeadBytes)
    return decodeRecordHead(this.#bytes, this.#view, position - this.#start, this.#filled, position)
  }

  /** Position of the next undamaged header from `position` on whose record fits the file, else the end of the file. */
  nextHead(position: number): number {
    for (let at = position; at + recordHeadBytes <= this.#end; at += 8) {
      this.#hold(at, recordHeadBytes)
      if (this.#filled < recordHeadBytes) break
      if (this.#view.getUint32(at - this.#start + 4, true) !== recordMagic) continue
      const head = this.head(at)
      if (head !== null && at + recordBytes(head.bodyBytes) <= this.#end) return at
    }
    return this.#end
  }
}
