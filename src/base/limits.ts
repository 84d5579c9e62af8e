import { assert } from './assert.ts'

/** Every bound on what comes from outside, in one place; relations between them are asserted below. */
export const limits = {
  /** Messages waiting for one actor before senders are refused. */
  mailboxMessagesMax: 1_024,
  /** One write-ahead-log segment. */
  walSegmentBytes: 128 << 20,
  /** One log record, header excluded. */
  walRecordBytesMax: 32 << 20,
  /** Target size of a write batch; a batch closes when it reaches it. */
  batchBytes: 256 << 10,
  /** Labels on one series, and bytes of all its names and values together. */
  labelsPerSeriesMax: 1_000,
  labelBytesPerSeriesMax: 256 << 10,
  /** Remote-write body, compressed and decompressed. */
  remoteWriteCompressedBytesMax: 32 << 20,
  remoteWriteDecompressedBytesMax: 128 << 20,
  /** A decompressed scrape body where `body_size_limit` is 0. */
  scrapeBodyBytesMax: 256 << 20,
  /** PromQL text and nesting. */
  queryBytesMax: 1 << 20,
  queryDepthMax: 400,
  /** Levels of the syntax tree, chains such as `a or b or c …` included: what a recursive walk must bear. */
  queryHeightMax: 1_000,
  /** Steps a range query may have per series. */
  queryPointsMax: 11_000,
  queryTimeoutMs: 120_000,
  querySamplesMax: 50_000_000,
  /** A YAML file of configuration or rules. */
  configBytesMax: 64 << 20,
} as const

assert(limits.walRecordBytesMax * 2 <= limits.walSegmentBytes, 'a WAL segment must hold two of the largest records')
assert(limits.batchBytes * 2 <= limits.walRecordBytesMax, 'a full batch must fit a WAL record')
