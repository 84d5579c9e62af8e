// Every distinct (label name, label value) of a storage worker, once. A series is then a short list of pair ids, and a posting list belongs
// to a pair id. The bytes of a pair are its canonical label bytes, so a pair is found without making a string.
//
//   arena    Uint8Array   pair bytes one after the other          starts, lengths  Uint32Array[pairs]; length 0 = the id is free
//   table    Uint32Array  open addressing: pair id + 1, 0 = free  hashes           Uint32Array[pairs]
//   names    one entry per label name, with the ids of its pairs
//
// Pairs that no series has left are given back, so that values which come and go (pods, versions) do not gather.
import { assert } from '../../base/assert.ts'
import { ByteReader, ByteWriter, utf8Text } from '../../base/bytes.ts'
import type { JsonBytes } from '../../model/json-bytes.ts'
import { growTo } from '../../base/grow-column.ts'
import { hashBytes } from '../../model/label-bytes.ts'

/** Below this the arena is not worth closing up. */
const deadBytesMin = 1 << 16

export class LabelPairs {
  /** Ids in use and free ones: all ids lie below. */
  count = 0
  #arena = new Uint8Array(1 << 16)
  #used = 0
  /** Bytes of the arena that belong to no pair. */
  #dead = 0
  #starts = new Uint32Array(1024)
  #lengths = new Uint32Array(1024)
  #hashes = new Uint32Array(1024)
  #nameIds = new Uint32Array(1024)
  #table = new Uint32Array(4096)
  readonly #values: (string | undefined)[] = []
  readonly #names: { name: string; pairs: number[] }[] = []
  readonly #nameIndex = new Map<string, number>()
  readonly #freePairs: number[] = []
  readonly #freeNames: number[] = []
  readonly #key = new ByteWriter(256)
  /** The pair that was made last, −1 where it may be gone. */
  #newest = -1

  /** Bytes this table holds, strings not counted. */
  get byteLength(): number {
    return this.#arena.length + (this.#hashes.length * 4 + this.#table.length) * 4
  }

  /** The id of the pair in bytes[from, to), made where it is new. */
  intern(bytes: Uint8Array, from: number, to: number): number {
    const hash = hashBytes(bytes, from, to)
    const mask = this.#table.length - 1
    let slot = hash & mask
    for (let entry = this.#table[slot]!; entry !== 0; entry = this.#table[(slot = (slot + 1) & mask)]!) {
      if (this.#hashes[entry - 1] === hash && this.#same(entry - 1, bytes, from, to)) return entry - 1
    }
    return this.#add(hash, bytes, from, to)
  }

  /** The id of a pair, or −1 where no series has had it. */
  find(name: string, value: string): number {
    const key = this.#key
    key.length = 0
    key.text(name)
    key.text(value)
    const bytes = key.written()
    const hash = hashBytes(bytes, 0, bytes.length)
    const mask = this.#table.length - 1
    let slot = hash & mask
    for (let entry = this.#table[slot]!; entry !== 0; entry = this.#table[(slot = (slot + 1) & mask)]!) {
      if (this.#hashes[entry - 1] === hash && this.#same(entry - 1, bytes, 0, bytes.length)) return entry - 1
    }
    return -1
  }

  name(pair: number): string {
    return this.#names[this.#nameIds[pair]!]!.name
  }

  nameId(pair: number): number {
    return this.#nameIds[pair]!
  }

  /** Ids of names lie below. */
  get nameCount(): number {
    return this.#names.length
  }

  /** −1 where no series has a label of this name. */
  findName(name: string): number {
    return this.#nameIndex.get(name) ?? -1
  }

  value(pair: number): string {
    let value = this.#values[pair]
    if (value === undefined) {
      const reader = new ByteReader(this.#arena, this.#starts[pair]!, this.#starts[pair]! + this.#lengths[pair]!)
      reader.raw(reader.uvarint())
      value = reader.text()
      this.#values[pair] = value
    }
    return value
  }

  /** All label names there are, in no order. */
  names(): string[] {
    return [...this.#nameIndex.keys()]
  }

  /** Ids of all pairs with this name; not to be changed. */
  pairsOf(name: string): readonly number[] {
    const id = this.#nameIndex.get(name)
    return id === undefined ? [] : this.#names[id]!.pairs
  }

  /** Appends the canonical bytes of a pair. */
  write(pair: number, into: ByteWriter): void {
    into.raw(this.#arena.subarray(this.#starts[pair], this.#starts[pair]! + this.#lengths[pair]!))
  }

  /** Appends `"name":"value"`, straight from the pair's bytes. */
  writeJson(pair: number, into: JsonBytes): void {
    const arena = this.#arena
    const nameAt = this.#starts[pair]! + 1
    const end = nameAt - 1 + this.#lengths[pair]!
    const nameLength = arena[nameAt - 1]!
    const valueAt = nameAt + nameLength + 1
    // lengths of one byte, and no need to escape anything: nearly all there are
    if (nameLength < 128 && arena[valueAt - 1]! < 128) {
      into.room(end - nameAt + 5)
      const { bytes } = into
      let at = into.at
      bytes[at++] = 34
      let i = nameAt
      for (; i < valueAt - 1; i++) {
        const byte = arena[i]!
        if (byte < 32 || byte === 34 || byte === 92) break
        bytes[at++] = byte
      }
      if (i === valueAt - 1) {
        bytes[at++] = 34
        bytes[at++] = 58
        bytes[at++] = 34
        for (i = valueAt; i < end; i++) {
          const byte = arena[i]!
          if (byte < 32 || byte === 34 || byte === 92) break
          bytes[at++] = byte
        }
        if (i === end) {
          bytes[at++] = 34
          into.at = at
          return
        }
      }
    }
    into.string(this.name(pair))
    into.byte(58)
    into.string(this.value(pair))
  }

  bytesOf(pair: number): number {
    return this.#lengths[pair]!
  }

  #same(pair: number, bytes: Uint8Array, from: number, to: number): boolean {
    const start = this.#starts[pair]!
    if (this.#lengths[pair] !== to - from) return false
    const arena = this.#arena
    for (let i = from, j = start; i < to; i++, j++) if (bytes[i] !== arena[j]) return false
    return true
  }

  #add(hash: number, bytes: Uint8Array, from: number, to: number): number {
    const pair = this.#freePairs.pop() ?? this.count++
    const length = to - from
    if (this.#used + length > this.#arena.length) {
      const grown = new Uint8Array(Math.max(this.#used + length, this.#arena.length * 2))
      grown.set(this.#arena.subarray(0, this.#used))
      this.#arena = grown
    }
    if (pair >= this.#hashes.length) {
      this.#starts = growTo(this.#starts, pair * 2)
      this.#lengths = growTo(this.#lengths, pair * 2)
      this.#hashes = growTo(this.#hashes, pair * 2)
      this.#nameIds = growTo(this.#nameIds, pair * 2)
    }
    this.#arena.set(bytes.subarray(from, to), this.#used)
    this.#starts[pair] = this.#used
    this.#lengths[pair] = length
    this.#used += length
    this.#hashes[pair] = hash
    const nameId = this.#nameOf(bytes, from, to)
    this.#nameIds[pair] = nameId
    this.#newest = pair
    this.#names[nameId]!.pairs.push(pair)
    if (this.count * 2 > this.#table.length) this.#rehash(this.#table.length * 2)
    else this.#place(pair)
    return pair
  }

  /** The id of a pair's name, made where it is new. Pairs of one name tend to come one after the other: then no string is made. */
  #nameOf(bytes: Uint8Array, from: number, to: number): number {
    const newest = this.#newest
    const length = bytes[from]!
    if (newest >= 0 && length < 128 && length < this.#lengths[newest]!) {
      const arena = this.#arena
      const start = this.#starts[newest]!
      let i = 0
      while (i <= length && bytes[from + i] === arena[start + i]) i++
      if (i > length) return this.#nameIds[newest]!
    }
    const reader = new ByteReader(bytes, from, to)
    const name = utf8Text(reader.raw(reader.uvarint()))
    let nameId = this.#nameIndex.get(name)
    if (nameId === undefined) {
      nameId = this.#freeNames.pop() ?? this.#names.length
      this.#names[nameId] = { name, pairs: [] }
      this.#nameIndex.set(name, nameId)
    }
    return nameId
  }

  /** Gives back pairs that no series has: their ids will be used again. */
  release(pairs: readonly number[]): void {
    if (pairs.length === 0) return
    const touched = new Set<number>()
    this.#newest = -1 // its id may be another pair's next
    for (const pair of pairs) {
      assert(this.#lengths[pair] !== 0, `label pair ${pair} is given back twice`)
      this.#dead += this.#lengths[pair]!
      this.#lengths[pair] = 0
      this.#values[pair] = undefined
      this.#freePairs.push(pair)
      touched.add(this.#nameIds[pair]!)
    }
    for (const id of touched) {
      const entry = this.#names[id]!
      entry.pairs = entry.pairs.filter((pair) => this.#lengths[pair] !== 0)
      if (entry.pairs.length > 0) continue
      this.#nameIndex.delete(entry.name)
      this.#freeNames.push(id)
    }
    this.#rehash(this.#table.length)
    if (this.#dead > deadBytesMin && this.#dead * 2 > this.#used) this.#compact()
  }

  /** Closes up the arena over what has been given back. */
  #compact(): void {
    const arena = new Uint8Array(Math.max(1 << 16, Math.ceil((this.#used - this.#dead) * 1.25)))
    let used = 0
    for (let pair = 0; pair < this.count; pair++) {
      const length = this.#lengths[pair]!
      if (length === 0) continue
      arena.set(this.#arena.subarray(this.#starts[pair], this.#starts[pair]! + length), used)
      this.#starts[pair] = used
      used += length
    }
    this.#arena = arena
    this.#used = used
    this.#dead = 0
  }

  #place(pair: number): void {
    const mask = this.#table.length - 1
    let slot = this.#hashes[pair]! & mask
    while (this.#table[slot] !== 0) slot = (slot + 1) & mask
    this.#table[slot] = pair + 1
  }

  #rehash(size: number): void {
    this.#table = new Uint32Array(size)
    for (let pair = 0; pair < this.count; pair++) if (this.#lengths[pair] !== 0) this.#place(pair)
  }
}
