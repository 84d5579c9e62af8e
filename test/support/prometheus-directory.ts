// The head of a Prometheus on a disk, written by the test writers, with what is known of it: which record has which sample, and where that record ends.
//
//   checkpoint.2   samples 60–89, after wal/3: –119, wal/4: –139, wal/5: –159        chunks_head   samples 0–119, three files; late ones in the third
//   wbl            late samples, in part those of the late chunk                       wal/4         a series more, a deletion, fragments of a long record
import { zstdCompressSync } from 'node:zlib'
import { encodeSnappy } from '../../protocols/remote/snappy.ts'
import type { Rng } from '../../src/base/rng.ts'
import type { Labels } from '../../src/model/labels.ts'
import type { Disk } from '../../src/ports/disk.ts'
import { StorageModel } from './storage-model.ts'
import { xorChunks } from './tsdb/blocks.ts'
import { deletionRecord, headChunksFile, logSegment, samplesRecord, seriesRecord } from './tsdb/prometheus-log.ts'

const pageBytes = 32 << 10
const stepMs = 15_000
const refs: Readonly<Record<string, number>> = { a: 1, bb: 2, ccc: 3, dddd: 4 }

/** A record of the log, or a full chunk: what it says, and where it ends in its file. */
type Part = Readonly<{
  path: string
  end: number
  samples: readonly Readonly<{ ref: number; name: string; timeMs: number }>[]
  series: readonly number[]
  deleted: Readonly<{ ref: number; startMs: number; endMs: number }> | null
}>
type Said = Readonly<{ bytes: Uint8Array } & Partial<Pick<Part, 'samples' | 'series' | 'deleted'>>>

type FullChunk = Readonly<{ chunk: Parameters<typeof headChunksFile>[0][number]; said: Said }>

export type Damage = Readonly<{ path: string; at: number; isCut: boolean; what: string }>
type Found = ReadonlyMap<string, ReadonlyMap<number, number>>

export class PrometheusDirectory {
  readonly files = new Map<string, Uint8Array>()
  readonly endMs: number
  readonly #startMs: number
  readonly #parts: Part[] = []

  constructor(startMs: number) {
    this.#startMs = startMs
    this.endMs = startMs + 160 * stepMs
    const snappy = (bytes: Uint8Array): { bytes: Uint8Array; flag: number } => ({ bytes: encodeSnappy(bytes), flag: 8 })
    const zstd = (bytes: Uint8Array): { bytes: Uint8Array; flag: number } => ({ bytes: new Uint8Array(zstdCompressSync(bytes)), flag: 16 })
    const fillers: [number, Labels][] = Array.from({ length: 700 }, (_, i) => [100 + i, ['__name__', `filler_${i}`, 'x', 'y'.repeat(40)]])
    const long: Said = { bytes: seriesRecord(fillers), series: fillers.map(([ref]) => ref) }
    const deleted = { ref: 3, startMs: this.#at(100), endMs: this.#at(110) }
    const checkpoint = 'wal/checkpoint.00000002'
    // superseded by the checkpoint: nothing of it counts
    this.files.set('wal/00000002', logSegment([seriesRecord([[1, ['__name__', 'superseded']]])]))
    this.#log(`${checkpoint}/00000000`, [this.#series('a', 'bb', 'ccc'), ...this.#range(60, 80)], snappy)
    this.#log(`${checkpoint}/00000001`, this.#range(80, 90), snappy)
    this.#log('wal/00000003', this.#range(90, 120), zstd)
    const deletion: Said = { bytes: deletionRecord(deleted.ref, deleted.startMs, deleted.endMs), deleted }
    this.#log('wal/00000004', [...this.#range(120, 130), long, this.#series('dddd'), deletion, ...this.#range(130, 140, { ...refs })])
    // it went, and came back under another number
    const again: Said = { bytes: seriesRecord([[7, ['__name__', 'bb', 'job', 'test']]]), series: [7] }
    this.#log('wal/00000005', [again, ...this.#range(140, 160, { ...refs, bb: 7 })], snappy)
    this.#log(
      'wbl/00000000',
      [this.#late('a', 10, 20), { bytes: Uint8Array.of(5, 0, 0, 0, 0, 0, 0, 0, 1) }, this.#late('a', 20, 30)],
      snappy,
    )
    this.#log('wbl/00000001', [this.#late('bb', 0, 10), this.#late('bb', 10, 20)])
    this.#chunks('chunks_head/000001', ['a', 'bb', 'ccc'].map((name) => this.#chunk(name, 0, 40)), 0) // prettier-ignore
    this.#chunks('chunks_head/000002', ['a', 'bb', 'ccc'].map((name) => this.#chunk(name, 40, 80)), 0) // prettier-ignore
    const last = ['a', 'bb', 'ccc'].map((name) => this.#chunk(name, 80, 120))
    this.#chunks('chunks_head/000003', [last[0]!, this.#chunk('a', 0, 20, 5_000), ...last.slice(1)], 3_000)
  }

  /** Writes all of it below `directory`, durably; `instead` in place of one file. */
  write(disk: Disk, directory: string, instead: Readonly<{ path: string; bytes: Uint8Array }> | null = null): void {
    for (const [path, whole] of this.files) {
      const parts = `${directory}/${path}`.split('/')
      for (let n = 2; n < parts.length; n++) disk.makeDirectory(parts.slice(0, n).join('/'))
      const file = disk.open(parts.join('/'), 'create')
      file.write(path === instead?.path ? instead.bytes : whole, 0)
      file.syncNow()
      file.close()
      for (let n = 1; n < parts.length; n++) disk.syncDirectory(parts.slice(0, n).join('/') || '/')
    }
  }

  /** Files that count. */
  get paths(): string[] {
    return [...this.files.keys()].filter((path) => path !== 'wal/00000002')
  }

  /** A file's bytes with one bit changed or its end cut off, and what was done. */
  damaged(path: string, isCut: boolean, rng: Rng): { bytes: Uint8Array; damage: Damage } {
    const bytes = this.files.get(path)!.slice()
    const content = Math.max(...this.#parts.filter((part) => part.path === path).map((part) => part.end))
    const at = rng.below(rng.chance(0.8) ? content : bytes.length)
    if (isCut) return { bytes: bytes.slice(0, at), damage: { path, at, isCut, what: `${path} cut from ${bytes.length} to ${at} bytes` } }
    const bit = 1 << rng.below(8)
    bytes[at]! ^= bit
    return { bytes, damage: { path, at, isCut, what: `${path}: bit ${bit} of byte ${at} of ${bytes.length}` } }
  }

  /** Whether the cut leaves what a Prometheus may have left: whole records, and no page of a checkpoint begun. Nobody can tell it from a shorter file. */
  looksWhole({ path, at, isCut }: Damage): boolean {
    if (!isCut) return false
    if (path.includes('checkpoint')) return at % pageBytes === 0
    const first = path.startsWith('chunks_head') ? 8 : 0
    const end = Math.max(first, ...this.#parts.filter((part) => part.path === path && part.end <= at).map((part) => part.end))
    if (at === end) return true
    // fill of a page, or room for more chunks
    if (at > end)
      return (
        this.files
          .get(path)!
          .subarray(end, at)
          .every((byte) => byte === 0) &&
        (at >= 8 || path === 'chunks_head/000003')
      )
    return path === 'chunks_head/000003' && at === 0
  }

  /**
   * What is wrong in what was found: samples nobody wrote, other values, deleted ones that are back though the record of the deletion can be read, and
   * lost ones though they stand before the damage: there, the log is read up to it, and chunks and late samples whole.
   * @returns also how many samples the damage took.
   */
  differences(found: Found, damage: Damage | null): { wrong: string[]; lost: number } {
    const { must, may, deleted } = this.#known(damage)
    const all = this.#known(null).must
    const wrong: string[] = []
    const key = (name: string, timeMs: number): string => `${name} at ${timeMs}`
    const there = new Set<string>()
    for (const [name, samples] of found) {
      for (const [timeMs, value] of samples) {
        const sample = key(name, timeMs)
        there.add(sample)
        if (!may.has(sample)) wrong.push(`${sample}: invented`)
        else if (value !== StorageModel.value(name, timeMs)) wrong.push(`${sample}: ${value}`)
        else if (deleted.has(sample)) wrong.push(`${sample}: was deleted`)
      }
    }
    for (const sample of must) if (!there.has(sample)) wrong.push(`${sample}: lost`)
    return { wrong, lost: [...all].filter((sample) => !there.has(sample)).length + [...there].filter((sample) => !all.has(sample)).length }
  }

  #known(damage: Damage | null): { must: Set<string>; may: Set<string>; deleted: Set<string> } {
    const kindOf = (path: string): string => path.slice(0, path.indexOf('/'))
    const order = this.paths
    const isReadable = ({ path, end }: Part): boolean => {
      if (damage === null || kindOf(path) !== kindOf(damage.path)) return true
      if (path === damage.path) return end <= damage.at
      return order.indexOf(path) < order.indexOf(damage.path) || this.looksWhole(damage)
    }
    const readable = this.#parts.filter(isReadable)
    const series = new Set(readable.flatMap((part) => part.series))
    type Deletions = readonly NonNullable<Part['deleted']>[]
    const deletions = (parts: readonly Part[]): Deletions => parts.flatMap((part) => (part.deleted === null ? [] : [part.deleted]))
    const samples = (parts: readonly Part[]): Part['samples'] => parts.flatMap((part) => part.samples)
    const isDeleted =
      (by: Deletions) =>
      ({ ref, timeMs }: Part['samples'][number]): boolean =>
        by.some((one) => one.ref === ref && timeMs >= one.startMs && timeMs <= one.endMs)
    const keys = (list: Part['samples']): Set<string> => new Set(list.map(({ name, timeMs }) => `${name} at ${timeMs}`))
    // as in Prometheus, the log gives what is behind the last chunk: it repeats what is in chunks
    const ends = new Map<number, number>()
    for (const { path, samples: list } of readable)
      if (path.startsWith('chunks_head')) for (const { ref, timeMs } of list) ends.set(ref, Math.max(timeMs, ends.get(ref) ?? 0))
    const isBehind = ({ ref, timeMs }: Part['samples'][number]): boolean => timeMs > (ends.get(ref) ?? 0)
    const given = readable.flatMap((part) => (part.path.startsWith('wal') ? part.samples.filter(isBehind) : part.samples))
    const known = given.filter(({ ref }) => series.has(ref))
    return {
      // behind a record that is skipped as unknown, the deletion still counts
      must: keys(known.filter((sample) => !isDeleted(deletions(this.#parts))(sample))),
      may: keys(samples(this.#parts)),
      deleted: keys(samples(this.#parts).filter(isDeleted(deletions(readable)))),
    }
  }

  #at(i: number): number {
    return this.#startMs + i * stepMs
  }

  #series(...names: string[]): Said {
    return {
      bytes: seriesRecord(names.map((name) => [refs[name]!, ['__name__', name, 'job', 'test']])),
      series: names.map((name) => refs[name]!),
    }
  }

  /** A record per time, with a sample of each series; dddd comes later than the others. */
  #range(from: number, to: number, of: Readonly<Record<string, number>> = { a: 1, bb: 2, ccc: 3 }): Said[] {
    return Array.from({ length: to - from }, (_, k) => this.#samples(Object.entries(of), [this.#at(from + k)]))
  }

  #late(name: string, from: number, to: number): Said {
    return this.#samples([[name, refs[name]!]], Array.from({ length: to - from }, (_, k) => this.#at(from + k) + 5_000)) // prettier-ignore
  }

  #samples(of: readonly (readonly [name: string, ref: number])[], times: readonly number[]): Said {
    const samples = times.flatMap((timeMs) => of.map(([name, ref]) => ({ name, ref, timeMs })))
    return { bytes: samplesRecord(samples.map(({ name, ref, timeMs }) => [ref, timeMs, StorageModel.value(name, timeMs)])), samples }
  }

  #chunk(name: string, from: number, to: number, lateMs = 0): FullChunk {
    const times = Array.from({ length: to - from }, (_, k) => this.#at(from + k) + lateMs)
    const [chunk] = xorChunks(times.map((timeMs) => [timeMs, StorageModel.value(name, timeMs)]))
    const ref = refs[name]!
    const encoding = chunk!.encoding | (lateMs > 0 ? 0x80 : 0)
    return { chunk: { ref, ...chunk!, encoding }, said: { bytes: chunk!.bytes, samples: times.map((timeMs) => ({ name, ref, timeMs })) } }
  }

  #log(path: string, records: readonly Said[], pack?: Parameters<typeof logSegment>[1]): void {
    const bytes = logSegment(records.map((record) => record.bytes), pack) // prettier-ignore
    // one that was closed ends with its page
    const isLast = path === 'wal/00000005' || path === 'wbl/00000001'
    const whole = new Uint8Array(isLast ? bytes.length : Math.ceil(bytes.length / pageBytes) * pageBytes)
    whole.set(bytes)
    this.files.set(path, whole)
    this.#note(path, records, (n) => logSegment(records.slice(0, n).map((record) => record.bytes), pack).length) // prettier-ignore
  }

  #chunks(path: string, chunks: readonly FullChunk[], zeros: number): void {
    const list = chunks.map(({ chunk }) => chunk)
    this.files.set(path, headChunksFile(list, zeros))
    this.#note(path, chunks.map(({ said }) => said), (n) => headChunksFile(list.slice(0, n)).length) // prettier-ignore
  }

  #note(path: string, said: readonly Said[], endOf: (count: number) => number): void {
    said.forEach(({ samples = [], series = [], deleted = null }, n) =>
      this.#parts.push({ path, end: endOf(n + 1), samples, series, deleted }),
    )
  }
}
