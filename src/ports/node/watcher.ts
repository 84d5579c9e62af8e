import { watch } from 'node:fs'
import { messageOf } from '../../base/errors.ts'
import type { Watcher } from '../watcher.ts'

/** Directory changes by the kernel's notifications. */
export function nodeWatcher(): Watcher {
  return {
    watch(directory, changed, failed) {
      try {
        const watching = watch(directory, { persistent: false }, () => changed())
        watching.on('error', (error) => {
          watching.close()
          failed(error.message)
        })
        return { close: () => watching.close() }
      } catch (thrown) {
        failed(messageOf(thrown))
        return { close: () => {} }
      }
    },
  }
}
