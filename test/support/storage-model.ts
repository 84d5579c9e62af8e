// What a storage must answer: every sample that was sent, whether it was acknowledged, and what was deleted.
import { labelsFromObject } from '../../src/model/labels.ts'
import { staleNaN } from '../../src/model/staleness.ts'
import type { Storage } from '../../src/cli/serve/storage.ts'
import type { StorageWorld } from './storage-world.ts'

export const everything = {
  matchers: [{ name: '__name__', kind: '=~' as const, value: '.+' }],
  startMs: -1e15,
  endMs: 1e15,
  samplesMax: 1e9,
}

type Answer = Readonly<{ labels: readonly string[]; times: Float64Array; values: Float64Array }>

export async function readAll(storage: Storage): Promise<Map<string, Map<number, number>>> {
  const out = new Map<string, Map<number, number>>()
  for (const { labels, times, values } of (await storage.lanes.askAll<Answer[]>('samples', everything)).flat()) {
    const name = labels[labels.indexOf('__name__') + 1]!
    if (out.has(name)) throw new Error(`series ${name} comes twice`)
    const samples = new Map<number, number>()
    let before = -Infinity
    for (let i = 0; i < times.length; i++) {
      if (!(times[i]! > before)) throw new Error(`series ${name}: ${times[i]} after ${before}`)
      before = times[i]!
      samples.set(before, values[i]!)
    }
    out.set(name, samples)
  }
  return out
}

type State = 'sent' | 'kept' | 'maybeDeleted' | 'deleted'

/** Samples by series and time; a value follows from both. */
export class StorageModel {
  readonly series = new Map<string, Map<number, State>>()
  /** Times of staleness markers, as series/time. */
  readonly ends = new Set<string>()
  /** Late samples that were too old, as series/time: in the log they are. */
  readonly #refusals = new Set<string>()
  /** Times of series that a deletion nobody has confirmed may have taken: all of them or none. */
  #unconfirmed: { name: string; times: readonly number[] }[] = []
  acknowledged = 0
  late = 0
  refused = 0
  /** Acknowledged. */
  deletions = 0

  static value(name: string, timeMs: number): number {
    return ((timeMs / 1000) % 100_003) + name.length * 0.5 + name.charCodeAt(name.length - 1)
  }

  copy(): StorageModel {
    const out = new StorageModel()
    for (const [name, samples] of this.series) out.series.set(name, new Map(samples))
    for (const end of this.ends) out.ends.add(end)
    for (const refusal of this.#refusals) out.#refusals.add(refusal)
    out.#unconfirmed = [...this.#unconfirmed]
    return out
  }

  #of(name: string): Map<number, State> {
    let samples = this.series.get(name)
    if (samples === undefined) this.series.set(name, (samples = new Map()))
    return samples
  }

  /** Appends one sample to each series; true where it was acknowledged. Handles are of this life of the storage. */
  async append(world: StorageWorld, storage: Storage, handles: ReadonlyMap<string, number>, timeMs: number): Promise<boolean> {
    const names = [...handles.keys()]
    for (const name of names) if (!this.#of(name).has(timeMs)) this.#of(name).set(timeMs, 'sent')
    const batch = {
      length: names.length,
      handles: Uint32Array.from(handles.values()),
      values: Float64Array.from(names, (name) => StorageModel.value(name, timeMs)),
      times: null,
      timeMs,
    }
    // known at once, not when the simulation has come to rest
    const appended = storage.appender.append(batch).then((result) => {
      if (result.pending || result.appended !== names.length) return false
      for (const name of names) this.#of(name).set(timeMs, 'kept')
      this.acknowledged += names.length
      return true
    })
    return (await world.run(appended).catch(() => null)) ?? false
  }

  /** Appends one sample at a time nothing else has, or nothing; it may be refused as too old. */
  async appendLate(world: StorageWorld, storage: Storage, [name, handle]: readonly [string, number], timeMs: number): Promise<void> {
    if (this.#of(name).has(timeMs)) return
    this.#of(name).set(timeMs, 'sent')
    const batch = {
      length: 1,
      handles: Uint32Array.of(handle),
      values: Float64Array.of(StorageModel.value(name, timeMs)),
      times: null,
      timeMs,
    }
    const appended = storage.appender.append(batch).then((result) => {
      if (result.pending) return
      if (result.appended === 1) {
        this.#of(name).set(timeMs, 'kept')
        this.late++
      } else {
        this.#of(name).delete(timeMs)
        this.#refusals.add(`${name}/${timeMs}`)
        this.refused++
      }
    })
    await world.run(appended).catch(() => null)
  }

  /** Ends a series with a staleness marker; its handle is released. */
  async end(world: StorageWorld, storage: Storage, [name, handle]: readonly [string, number], timeMs: number): Promise<void> {
    this.ends.add(`${name}/${timeMs}`)
    const values = new Float64Array(1)
    // by bits: the marker must not pass through a number
    new BigUint64Array(values.buffer)[0] = new BigUint64Array(Float64Array.of(staleNaN).buffer)[0]!
    const batch = { length: 1, handles: Uint32Array.of(handle), values, times: null, timeMs }
    const appended = storage.appender.append(batch)
    storage.appender.release(handle)
    await world.run(appended).catch(() => null)
  }

  async delete(world: StorageWorld, storage: Storage, name: string, startMs: number, endMs: number): Promise<void> {
    const touched = [...this.#of(name).keys()].filter((time) => time >= startMs && time <= endMs)
    const unconfirmed = { name, times: touched.filter((time) => this.#of(name).get(time) === 'kept') }
    this.#unconfirmed.push(unconfirmed)
    for (const time of touched) if (this.#of(name).get(time) !== 'deleted') this.#of(name).set(time, 'maybeDeleted')
    const matchers = [{ name: '__name__', kind: '=' as const, value: name }]
    const deleted = storage.appender.deleteSeries(matchers, startMs, endMs).then((result) => {
      if (result.pending) return
      for (const time of touched) this.#of(name).set(time, 'deleted')
      this.#unconfirmed.splice(this.#unconfirmed.indexOf(unconfirmed), 1)
      this.deletions++
    })
    await world.run(deleted).catch(() => null)
  }

  /**
   * Differences between what is and what must be, in words.
   * @param earlier the model when it was begun to read: what came after that need not be there.
   */
  differences(found: ReadonlyMap<string, ReadonlyMap<number, number>>, sinceMs = -Infinity, earlier: StorageModel = this): string[] {
    const out: string[] = []
    for (const [name, samples] of found) {
      const sent = this.series.get(name)
      for (const [time, value] of samples) {
        if (Number.isNaN(value) && this.ends.has(`${name}/${time}`)) continue
        const state = sent?.get(time)
        if (state === undefined) out.push(`${name} at ${time}: ${this.#refusals.has(`${name}/${time}`) ? 'was refused' : 'invented'}`)
        else if (state === 'deleted') out.push(`${name} at ${time}: was deleted`)
        else if (value !== StorageModel.value(name, time)) out.push(`${name} at ${time}: ${value}`)
      }
    }
    for (const [name, sent] of this.series) {
      for (const [time, state] of sent) {
        if (state === 'kept' && time >= sinceMs && found.get(name)?.has(time) !== true) out.push(`${name} at ${time}: lost`)
      }
    }
    for (const { name, times } of this.#unconfirmed) {
      const wasThere = (time: number): boolean => (earlier.series.get(name)?.get(time) ?? 'sent') !== 'sent'
      const open = times.filter((time) => this.series.get(name)!.get(time) === 'maybeDeleted' && wasThere(time))
      const there = open.filter((time) => found.get(name)?.has(time) === true)
      if (there.length > 0 && there.length < open.length) out.push(`${name}: ${there.length} of ${open.length} survive a deletion`)
    }
    return out
  }
}

export function openSeries(storage: Storage, names: readonly string[]): Map<string, number> {
  return new Map(names.map((name) => [name, storage.appender.open(labelsFromObject({ __name__: name, job: 'test' }))]))
}
