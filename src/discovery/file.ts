// Target groups in files (FEATURES 2.05): read at start, when a directory changes, and every refresh_interval. A file that does not parse keeps what it
// last said; one that is gone takes its targets with it. Source: prometheus discovery/file.
import { appendAll } from '../base/append-all.ts'
import { utf8Text } from '../base/bytes.ts'
import { messageOf, PromhiveError } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { withLabel } from '../model/labels.ts'
import type { TargetGroup } from '../model/target-group.ts'
import type { Timer } from '../ports/clock.ts'
import type { Watch } from '../ports/watcher.ts'
import { glob } from './glob.ts'
import type { DiscoveryPorts, Mechanism } from './mechanism.ts'
import type { FileDiscovery } from './options.ts'
import { parseTargetGroups } from './target-file.ts'

/** Changes come in bursts: an editor writes, renames, sets times. */
const settleMs = 50

export function fileDiscovery(options: FileDiscovery, ports: DiscoveryPorts): Mechanism {
  const { clock, disk, log, metrics, watcher } = ports
  const owner = {}
  /** Groups each file had when it was last read well; 0 for one that never was. */
  const known = new Map<string, number>()
  const watches = new Map<string, Watch>()
  let timer: Timer | null = null
  let settle: Timer | null = null

  const matching = (pattern: string): string[] => {
    try {
      return glob(disk, pattern)
    } catch (thrown) {
      log.error({ discovery: 'file', glob: pattern, err: messageOf(thrown) }, 'Error expanding glob')
      return []
    }
  }

  const read = (path: string): TargetGroup[] => {
    const { sizeBytes, modifiedMs } = disk.stat(path)
    if (sizeBytes > limits.configBytesMax) throw new PromhiveError('DISCOVERY', `${sizeBytes} bytes, limit ${limits.configBytesMax}`)
    const groups = parseTargetGroups(utf8Text(disk.read(path)), /\.json$/i.test(path) ? 'json' : 'yaml', (i) => `${path}:${i}`)
    metrics.fileTimes.set(owner, path, Math.floor(modifiedMs / 1000))
    return groups.map((group) => ({ ...group, labels: withLabel(group.labels, '__meta_filepath', path) }))
  }

  const readAll = (emit: (groups: readonly TargetGroup[]) => void): void => {
    const started = clock.monotonicMs()
    const out: TargetGroup[] = []
    const present = new Set(options.files.flatMap(matching))
    for (const path of present) {
      const before = known.get(path) ?? 0
      try {
        const groups = read(path)
        appendAll(out, groups)
        appendAll(out, removed(path, groups.length, before))
        known.set(path, groups.length)
      } catch (thrown) {
        if (!disk.exists(path)) {
          present.delete(path) // went while we looked
          continue
        }
        known.set(path, before)
        metrics.fileReadErrors.inc()
        log.error({ discovery: 'file', path, err: messageOf(thrown) }, 'Error reading file')
      }
    }
    for (const [path, count] of known) {
      if (present.has(path)) continue
      appendAll(out, removed(path, 0, count))
      known.delete(path)
      metrics.fileTimes.remove(owner, path)
    }
    metrics.fileScanDuration.observe((clock.monotonicMs() - started) / 1000)
    emit(out)
  }

  /** Watches are made anew: a directory may have come, or gone and come back, and only the new one tells. */
  const watchAll = (changed: () => void): void => {
    for (const watch of watches.values()) watch.close()
    watches.clear()
    for (const directory of new Set(options.files.map(directoryOf).flatMap(matching))) {
      const watch = watcher.watch(directory, changed, (why) => {
        metrics.fileWatcherErrors.inc()
        log.error({ discovery: 'file', path: directory, err: why }, 'Error watching directory')
      })
      watches.set(directory, watch)
    }
  }

  return {
    start(emit) {
      const changed = (): void => {
        settle ??= clock.after(settleMs, () => {
          settle = null
          readAll(emit)
        })
      }
      const round = (): void => {
        timer = clock.after(options.refreshIntervalMs, round)
        watchAll(changed)
        readAll(emit)
      }
      round()
    },
    stop() {
      timer?.cancel()
      settle?.cancel()
      for (const watch of watches.values()) watch.close()
      metrics.fileTimes.removeAll(owner)
    },
  }
}

/** Empty groups in the places of those that a file no longer has. */
function removed(path: string, from: number, to: number): TargetGroup[] {
  return Array.from({ length: Math.max(0, to - from) }, (_, i) => ({ source: `${path}:${from + i}`, targets: [], labels: [] }))
}

function directoryOf(path: string): string {
  const slash = path.lastIndexOf('/')
  return slash === -1 ? '.' : slash === 0 ? '/' : path.slice(0, slash)
}
