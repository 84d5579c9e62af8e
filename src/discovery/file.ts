// Target groups in files (FEATURES 2.05): read at start, when the directory changes, and every refresh_interval. A file that does not parse keeps what it
// last said; one that is gone takes its targets with it. Source: prometheus discovery/file.
import { messageOf } from '../base/errors.ts'
import { utf8Text } from '../base/bytes.ts'
import { withLabel } from '../model/labels.ts'
import type { TargetGroup } from '../model/target-group.ts'
import type { Timer } from '../ports/clock.ts'
import type { Watch } from '../ports/watcher.ts'
import type { DiscoveryPorts, Mechanism } from './mechanism.ts'
import type { FileDiscovery } from './options.ts'
import { parseTargetGroups } from './target-file.ts'

/** Changes come in bursts: an editor writes, renames, sets times. */
const settleMs = 50

export function fileDiscovery(options: FileDiscovery, ports: DiscoveryPorts): Mechanism {
  const { clock, disk, log, metrics, watcher } = ports
  /** Groups each file had when it was last read well. */
  const known = new Map<string, number>()
  const watches: Watch[] = []
  let timer: Timer | null = null
  let settle: Timer | null = null

  const readAll = (emit: (groups: readonly TargetGroup[]) => void): void => {
    const started = clock.monotonicMs()
    const out: TargetGroup[] = []
    const present = new Set(options.files.flatMap((pattern) => filesMatching(ports, pattern)))
    for (const path of present) {
      try {
        const text = utf8Text(disk.read(path))
        metrics.fileMtime.labels(path).set(disk.stat(path).modifiedMs / 1000)
        const groups = parseTargetGroups(text, /\.json$/i.test(path) ? 'json' : 'yaml', (i) => `${path}:${i}`)
        for (const group of groups) out.push({ ...group, labels: withLabel(group.labels, '__meta_filepath', path) })
        out.push(...removed(path, groups.length, known.get(path) ?? 0))
        known.set(path, groups.length)
      } catch (thrown) {
        metrics.fileReadErrors.inc()
        log.error({ discovery: 'file', path, err: messageOf(thrown) }, 'Error reading file')
      }
    }
    for (const [path, count] of known) {
      if (present.has(path)) continue
      out.push(...removed(path, 0, count))
      known.delete(path)
      metrics.fileMtime.remove(path)
    }
    metrics.fileScanDuration.observe((clock.monotonicMs() - started) / 1000)
    emit(out)
  }

  return {
    start(emit) {
      const round = (): void => {
        readAll(emit)
        timer = clock.after(options.refreshIntervalMs, round)
      }
      for (const directory of new Set(options.files.map(directoryOf))) {
        watches.push(
          watcher.watch(directory, () => {
            settle?.cancel()
            settle = clock.after(settleMs, () => readAll(emit))
          }),
        )
      }
      round()
    },
    stop() {
      timer?.cancel()
      settle?.cancel()
      for (const watch of watches) watch.close()
    },
  }
}

function removed(path: string, from: number, to: number): TargetGroup[] {
  return Array.from({ length: Math.max(0, to - from) }, (_, i) => ({ source: `${path}:${from + i}`, targets: [], labels: [] }))
}

function directoryOf(path: string): string {
  const slash = path.lastIndexOf('/')
  return slash === -1 ? '.' : slash === 0 ? '/' : path.slice(0, slash)
}

/** Files that a path with at most one `*` in its last segment stands for. */
function filesMatching({ disk }: DiscoveryPorts, pattern: string): string[] {
  const star = pattern.indexOf('*')
  if (star === -1) return disk.exists(pattern) ? [pattern] : []
  const directory = directoryOf(pattern)
  const name = pattern.slice(pattern.lastIndexOf('/') + 1)
  const [before, after] = [name.slice(0, name.indexOf('*')), name.slice(name.indexOf('*') + 1)]
  return disk
    .list(directory)
    .filter((entry) => entry.length >= before.length + after.length && entry.startsWith(before) && entry.endsWith(after))
    .map((entry) => (directory === '/' ? `/${entry}` : `${directory}/${entry}`))
}
