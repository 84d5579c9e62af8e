// Blocks of Prometheus before 2.3 have index version 1: symbols and series are referenced by file offset, and the postings table is in no order.
import { describe, expect, it } from 'vitest'
import { ByteWriter } from '../../../src/base/bytes.ts'
import { crc32c } from '../../../src/base/crc32c.ts'
import { PageCache } from '../../../src/tsdb/block/pages.ts'
import { BlockReader } from '../../../src/tsdb/block/reader.ts'
import { writeBlock, readAll, type Row } from '../../support/tsdb/blocks.ts'
import { MemoryDisk } from '../../support/tsdb/memory-disk.ts'
import { putU64 } from '../../support/tsdb/prometheus-log.ts'

const rows: Row[] = [
  {
    labels: { __name__: 'm', i: '2' },
    samples: [
      [0, 1],
      [15, 2],
    ],
  },
  {
    labels: { __name__: 'm', i: '1', x: 'ü' },
    samples: [
      [0, 3],
      [15, 4],
    ],
  },
  { labels: { __name__: 'n', i: '1' }, samples: [[30, 5]] },
]

/** Rewrites the index of a block as version 1. */
function asVersion1(block: BlockReader): Uint8Array {
  const out = new ByteWriter()
  out.u32be(0xbaaad700)
  out.u8(1)
  const section = (body: (into: ByteWriter) => void): number => {
    const start = out.length
    const into = new ByteWriter()
    body(into)
    out.u32be(into.length)
    out.raw(into.written())
    out.u32be(crc32c(into.written()))
    return start
  }
  const symbols = [...block.index.symbols.all()]
  const offsets = new Map<string, number>()
  const symbolsAt = section((into) => {
    into.u32be(symbols.length)
    for (const symbol of symbols) {
      offsets.set(symbol, out.length + 4 + into.length)
      into.text(symbol)
    }
  })
  const seriesAt = out.length
  const postings = new Map<string, number[]>()
  for (const ref of block.index.allPostings()) {
    const labels = block.labelsOf(ref)
    const at = out.length
    const entry = new ByteWriter()
    entry.uvarint(labels.length / 2)
    for (const label of labels) entry.uvarint(offsets.get(label)!)
    entry.uvarint(1)
    const [chunk] = block.chunksOf(ref, -Infinity, Infinity)
    entry.varint(chunk!.minTime)
    entry.uvarint(chunk!.maxTime - chunk!.minTime)
    entry.uvarint(refs(block, ref))
    out.uvarint(entry.length)
    out.raw(entry.written())
    out.u32be(crc32c(entry.written()))
    for (const key of ['\xff', ...Array.from({ length: labels.length / 2 }, (_, i) => `${labels[i * 2]}\xff${labels[i * 2 + 1]}`)]) {
      postings.set(key, [...(postings.get(key) ?? []), at])
    }
  }
  const labelIndicesAt = out.length
  const places = [...postings].reverse().map(([key, list]): [string, number] => [
    key,
    section((into) => {
      into.u32be(list.length)
      for (const ref of list) into.u32be(ref)
    }),
  ])
  const tableAt = section((into) => {
    into.u32be(places.length)
    for (const [key, place] of places) {
      into.u8(2)
      for (const part of key.split('\xff')) into.text(part)
      into.uvarint(place)
    }
  })
  const toc = new ByteWriter()
  for (const place of [symbolsAt, seriesAt, labelIndicesAt, tableAt, labelIndicesAt, tableAt]) putU64(toc, place)
  out.raw(toc.written())
  out.u32be(crc32c(toc.written()))
  return out.written().slice()
}

/** Where the only chunk of a series lies. */
function refs(block: BlockReader, ref: number): number {
  let at = 8
  for (const each of block.index.allPostings()) {
    if (each === ref) return at
    at += block.chunksOf(each, -Infinity, Infinity)[0]!.bytes.length + 6
  }
  return at
}

describe('index version 1', () => {
  const disk = new MemoryDisk()
  const { ulid } = writeBlock(disk, '/data', rows)
  const path = `/data/${ulid}`
  const newer = BlockReader.open(disk, new PageCache(1 << 20), path)
  const everything = { matchers: [], startMs: 0, endMs: 100 }
  const expected = readAll(newer.select(everything))
  disk.write(`${path}/index`, asVersion1(newer))
  const older = BlockReader.open(disk, new PageCache(1 << 20), path)

  it('reads as version 2 does', () => {
    expect(older.index.version).toBe(1)
    expect(Object.keys(expected).length).toBe(3)
    expect(readAll(older.select(everything))).toEqual(expected)
    expect(older.labelNames()).toEqual(['__name__', 'i', 'x'])
    expect(older.labelValues('i')).toEqual(['1', '2'])
    expect(older.labelValues('i', [{ name: '__name__', kind: '=', value: 'm' }])).toEqual(['1', '2'])
    expect(older.labelValues('i', [], 1)).toEqual(['1'])
    const some = {
      ...everything,
      matchers: [
        { name: 'i', kind: '=~', value: '1|3' },
        { name: 'x', kind: '=', value: '' },
      ] as const,
    }
    expect(Object.keys(readAll(older.select(some)))).toEqual(['{__name__="n", i="1"}'])
  })
  it('is checked as well', () => {
    const intact = disk.files.get(`${path}/index`)!
    for (let at = 5; at < intact.length; at += 3) {
      const bytes = intact.slice()
      bytes[at] = bytes[at]! ^ 16
      disk.write(`${path}/index`, bytes)
      try {
        expect(readAll(BlockReader.open(disk, new PageCache(1 << 20), path).select(everything))).toEqual(expected)
      } catch (thrown) {
        expect(String(thrown)).toContain(`cannot read ${path}/index at byte`)
      }
    }
    disk.write(`${path}/index`, intact)
  })
})
