import protobuf from 'protobufjs'
import { describe, expect, it } from 'vitest'
import { ProtoReader, ProtoWriter } from '../../../protocols/remote/protobuf.ts'

describe('protobuf reader and writer', () => {
  const numbers = [
    0,
    1,
    127,
    128,
    300,
    16_383,
    16_384,
    2 ** 28 - 1,
    2 ** 28,
    2 ** 31,
    2 ** 32 + 5,
    1_767_361_020_500,
    2 ** 42 - 1,
    2 ** 42,
    2 ** 49,
    2 ** 52,
    Number.MAX_SAFE_INTEGER,
  ]
  for (const value of [...numbers, ...numbers.map((n) => -n)]) {
    it(`int64 ${value} goes through both implementations`, () => {
      const ours = new ProtoWriter()
      ours.varint64(value)
      const theirs = protobuf.Writer.create().int64(value).finish()
      expect(Buffer.from(ours.written()).toString('hex')).toBe(Buffer.from(theirs).toString('hex'))
      expect(new ProtoReader(theirs).int64() + 0).toBe(value + 0)
    })
    // zig-zag doubles the number: beyond 2^52 the last bit is lost
    if (Math.abs(value) >= 2 ** 52) continue
    it(`sint64 ${value} goes through both implementations`, () => {
      const ours = new ProtoWriter()
      ours.varint(value)
      const theirs = protobuf.Writer.create().sint64(value).finish()
      expect(Buffer.from(ours.written()).toString('hex')).toBe(Buffer.from(theirs).toString('hex'))
      expect(new ProtoReader(theirs).sint64() + 0).toBe(value + 0)
    })
  }

  it('reads the extremes of int64 and uint64 as numbers near them', () => {
    const min = Uint8Array.of(0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01)
    const max = Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f)
    const all = Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01)
    expect(new ProtoReader(min).int64()).toBe(-(2 ** 63))
    expect(new ProtoReader(max).int64()).toBe(2 ** 63)
    expect(new ProtoReader(all).int64()).toBe(-1)
    expect(new ProtoReader(all).uint64()).toBe(2 ** 64)
  })

  const broken: readonly (readonly [string, number[], (r: ProtoReader) => unknown])[] = [
    ['a varint that does not end', [0x80], (r) => r.int64()],
    ['a varint of eleven bytes', Array.from({ length: 11 }, () => 0x80), (r) => r.int64()],
    ['a 32-bit varint of eleven bytes', Array.from({ length: 11 }, () => 0x80), (r) => r.uint32()],
    ['a double that is cut', [1, 2, 3], (r) => r.double()],
    ['a field longer than the message', [5, 1], (r) => r.span()],
    ['a field of a huge length', [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f], (r) => r.span()],
    ['a field of a negative length', [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], (r) => r.span()],
    ['tag 0', [0], (r) => r.tag()],
    ['field 0', [0x05], (r) => r.tag()],
    ['a group', [0x0b], (r) => r.skip(r.tag())],
    ['a fixed field that is cut', [0x0d, 1], (r) => r.skip(r.tag())],
    ['nothing where a tag should be', [], (r) => r.tag()],
  ]
  for (const [name, bytes, read] of broken) {
    it(`refuses ${name}`, () => {
      expect(() => read(new ProtoReader(Uint8Array.from(bytes)))).toThrow(/^proto: .* at offset \d+/)
    })
  }

  it('puts the length in front of messages of any size', () => {
    for (const size of [0, 1, 127, 128, 16_383, 16_384]) {
      const w = new ProtoWriter(8)
      w.message(1, () => w.raw(new Uint8Array(size).fill(7)))
      const reader = new ProtoReader(w.written())
      expect(reader.tag()).toBe(0x0a)
      const stop = reader.span()
      expect(stop - reader.at).toBe(size)
      expect(stop).toBe(w.length)
      expect(
        w
          .written()
          .subarray(reader.at, stop)
          .every((byte) => byte === 7),
      ).toBe(true)
    }
  })
})
