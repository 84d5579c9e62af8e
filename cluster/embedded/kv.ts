// Keyed values in memory and in one file, which is replaced at every change: for the few kilobytes of a node's own facts.
// A change is seen by readers, watchers and its writer when it is durable; changes that come together share one replacement.
// Versions are numbers of one sequence for all keys, so `watch` can go on from any of them. A watcher that comes late sees the last change of
// each key, not those between.
import { messageOf, PromhiveError } from '../../src/base/errors.ts'
import type { Clock } from '../../src/ports/clock.ts'
import type { Disk } from '../../src/ports/disk.ts'
import type { Kv, KvChange } from '../ports.ts'
import { decodeKv, encodeKv, type KvEntry, type KvState } from './kv-file.ts'

/** Deletions remembered for watchers that come late; older ones are forgotten. */
const deletionsMax = 1024

export interface EmbeddedKv extends Kv {
  close(): Promise<void>
}

type Change = Readonly<{ key: string; entry: KvEntry }>
type Operation = {
  /** Decides on the state with the changes before it; null: refused. */
  decide: (entry: KvEntry | undefined, revision: number) => KvEntry | null
  key: string
  resolve: (version: number | null) => void
  reject: (thrown: unknown) => void
}
type Watcher = { prefix: string; seen: number; handler: (change: KvChange) => void }

/**
 * @param file null: memory only. Its directory must exist.
 * @throws PromhiveError STORAGE_CORRUPT where the file is damaged.
 */
export function embeddedKv(clock: Clock, file: Readonly<{ disk: Disk; path: string }> | null): EmbeddedKv {
  const state: KvState =
    file !== null && file.disk.exists(file.path) ? decodeKv(file.disk.read(file.path), file.path) : { revision: 0, entries: new Map() }
  const watchers = new Set<Watcher>()
  let queue: Operation[] = []
  let working: Promise<void> | null = null
  let closed = false

  const live = (entry: KvEntry | undefined): entry is KvEntry & { value: Uint8Array } =>
    entry !== undefined && entry.value !== null && (entry.expiresAtMs === 0 || clock.nowMs() < entry.expiresAtMs)

  const enqueue = (key: string, decide: Operation['decide']): Promise<number | null> => {
    if (closed) return Promise.reject(new PromhiveError('UNAVAILABLE', 'cannot change a value: the store is closed', { key }))
    return new Promise((resolve, reject) => {
      queue.push({ key, decide, resolve, reject })
      working ??= Promise.resolve().then(work)
    })
  }
  const work = async (): Promise<void> => {
    while (queue.length > 0) {
      const operations = queue
      queue = []
      // Decided one after the other on a draft; the draft becomes the state when it is durable.
      const draft: KvState = { revision: state.revision, entries: new Map(state.entries) }
      const changes: Change[] = []
      const versions = operations.map(({ key, decide }) => {
        const entry = decide(draft.entries.get(key), draft.revision + 1)
        if (entry === null) return null
        draft.revision = entry.version
        draft.entries.delete(key) // in the order of versions
        draft.entries.set(key, entry)
        changes.push({ key, entry })
        return entry.version
      })
      try {
        if (changes.length > 0) {
          forget(draft)
          if (file !== null) await replace(file.disk, file.path, encodeKv(draft))
          state.revision = draft.revision
          state.entries = draft.entries
        }
      } catch (thrown) {
        // The file may be the old or the new one: nobody can say which.
        for (const { key, reject } of operations)
          reject(new PromhiveError('UNAVAILABLE', `cannot tell whether ${key} was stored: ${messageOf(thrown)}`, { key }, thrown))
        continue
      }
      operations.forEach(({ resolve }, i) => resolve(versions[i]!))
      for (const { key, entry } of changes) for (const watcher of watchers) tell(watcher, key, entry)
    }
    working = null
  }
  /** Expired values and the oldest deletions go for good. */
  const forget = (draft: KvState): void => {
    let deletions = 0
    for (const entry of draft.entries.values()) if (!live(entry)) deletions++
    for (const [key, entry] of draft.entries) {
      if (deletions <= deletionsMax) break
      if (!live(entry)) {
        draft.entries.delete(key)
        deletions--
      }
    }
  }
  const tell = (watcher: Watcher, key: string, entry: KvEntry): void => {
    if (!watchers.has(watcher) || entry.version <= watcher.seen || !key.startsWith(watcher.prefix)) return
    watcher.seen = entry.version
    try {
      watcher.handler({ key, value: entry.value, version: entry.version })
    } catch (thrown) {
      // A watcher's bug is not the store's: it shows as the uncaught error it is.
      queueMicrotask(() => {
        throw thrown
      })
    }
  }

  return {
    async get(key) {
      const entry = state.entries.get(key)
      return live(entry) ? { value: entry.value, version: entry.version } : null
    },
    put: (key, value, expected) =>
      enqueue(key, (entry, version) =>
        (live(entry) ? entry.version : 0) === expected ? { version, value: value.slice(), expiresAtMs: 0 } : null,
      ),
    create: (key, value, ttlMs) =>
      enqueue(key, (entry, version) => (live(entry) ? null : { version, value: value.slice(), expiresAtMs: clock.nowMs() + ttlMs })),
    async delete(key, expected) {
      const version = await enqueue(key, (entry, next) =>
        live(entry) && entry.version === expected ? { version: next, value: null, expiresAtMs: 0 } : null,
      )
      return version !== null
    },
    watch(prefix, version, handler) {
      const watcher: Watcher = { prefix, seen: version, handler }
      let cancelled = false
      // Later, but in one go: what is there first, and from then on every change.
      queueMicrotask(() => {
        if (cancelled) return
        watchers.add(watcher)
        for (const [key, entry] of [...state.entries].sort((a, b) => a[1].version - b[1].version)) {
          if (version === 0 ? live(entry) : entry.value === null || live(entry)) tell(watcher, key, entry)
        }
      })
      return () => {
        cancelled = true
        watchers.delete(watcher)
      }
    },
    async close() {
      closed = true
      await working
      watchers.clear()
    },
  }
}

/** A crash leaves the old file or the new one. */
async function replace(disk: Disk, path: string, bytes: Uint8Array): Promise<void> {
  const draft = `${path}.tmp`
  const file = disk.open(draft, 'create')
  try {
    await file.writeSynced([bytes], 0)
  } finally {
    file.close()
  }
  disk.rename(draft, path)
  disk.syncDirectory(path.slice(0, path.lastIndexOf('/')) || '.')
}
