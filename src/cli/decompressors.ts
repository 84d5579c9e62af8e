// What a Prometheus' write-ahead log may be compressed with.
import { zstdDecompressSync } from 'node:zlib'
import { unsnappy } from '../../protocols/remote/snappy.ts'
import type { Decompressors } from '../tsdb/wal-import/log.ts'

export const decompressors: Decompressors = {
  snappy: unsnappy,
  zstd: (bytes, bytesMax) => zstdDecompressSync(bytes, { maxOutputLength: bytesMax }),
}
