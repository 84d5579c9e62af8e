import { watch } from 'node:fs'
import type { Watcher } from '../watcher.ts'

/** Directory changes by the kernel's notifications; a directory that is not there or cannot be watched is left to the next refresh. */
export function nodeWatcher(): Watcher {
  return {
    watch(directory, changed) {
      try {
        const watching = watch(directory, { persistent: false }, () => changed())
        watching.on('error', () => watching.close())
        return { close: () => watching.close() }
      } catch {
        return { close: () => {} }
      }
    },
  }
}
