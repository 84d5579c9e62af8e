// Reading records back: some neighbouring records of one shard with one read of the disk, every checksum verified.
import { crc32c } from '../../src/base/crc32c.ts'
import { messageOf } from '../../src/base/errors.ts'
import type { LogReadFailure, LogRecord } from '../ports.ts'
import { decodeRecordHead, recordHeadBytes, viewOf } from './log-format.ts'
import type { ShardIndex } from './log-index.ts'

/** One read, unless a single record is larger. */
const spanBytesMax = 512 << 10
/** Reading over this is cheaper than another read. */
const gapBytesMax = 4 << 10

export class LogReader {
  readonly #shards: ReadonlyMap<number, ShardIndex>
  constructor(shards: ReadonlyMap<number, ShardIndex>) {
    this.#shards = shards
  }

  /**
   * At least one record from `from` on (≤ `to`, the last durable offset), as many as lie close together. The records share one new buffer.
   * A damaged record behind the first ends the span; asked for itself it is the failure.
   */
  span(shard: number, from: number, to: number): { records: LogRecord[] } | { failure: LogReadFailure } {
    const index = this.#shards.get(shard)
    if (index === undefined || from < index.first) return { failure: { kind: 'truncated', first: index?.first ?? 1 } }
    const run = index.find(from)
    if (run === null) return { failure: { kind: 'corrupt', offset: from, why: 'the record is missing' } }
    const start = from - run.first
    const position = run.positions[start]!
    let end = position + recordHeadBytes + run.lengths[start]!
    let count = 1
    // Records of other shards in between are read along where they are small, or less than half of it all.
    for (let own = end - position; count < Math.min(run.count - start, to - from + 1); count++) {
      const at = start + count
      const gap = run.positions[at]! - end
      const nextEnd = run.positions[at]! + recordHeadBytes + run.lengths[at]!
      own += recordHeadBytes + run.lengths[at]!
      if (nextEnd - position > spanBytesMax || (gap > gapBytesMax && own * 2 < nextEnd - position)) break
      end = nextEnd
    }
    const bytes = new Uint8Array(end - position)
    const view = viewOf(bytes)
    try {
      run.segment.file.read(bytes, position)
    } catch (thrown) {
      return { failure: { kind: 'corrupt', offset: from, why: messageOf(thrown) } }
    }
    const records: LogRecord[] = []
    for (let i = 0; i < count; i++) {
      const at = run.positions[start + i]! - position
      const length = run.lengths[start + i]!
      const head = decodeRecordHead(bytes, view, at, bytes.length, position + at)
      const good =
        head !== null &&
        head.shard === shard &&
        head.offset === from + i &&
        head.bodyBytes === length &&
        crc32c(bytes, at + recordHeadBytes, at + recordHeadBytes + length) === head.bodyCrc
      if (!good) {
        if (i > 0) break
        const where = `${run.segment.file.path} at ${position}`
        return {
          failure: { kind: 'corrupt', offset: from, why: head === null ? `bad header in ${where}` : `checksum does not match in ${where}` },
        }
      }
      const body = bytes.subarray(at + recordHeadBytes, at + recordHeadBytes + length)
      records.push({ offset: head.offset, publisher: head.publisher, sequence: head.sequence, bytes: body })
    }
    return { records }
  }
}
