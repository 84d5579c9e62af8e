// Blocks of Prometheus 2.1 say version 2 in meta.json and 1 in an index of version 2. They are put right when a directory is opened to be written to.
// Source: prometheus tsdb/repair.go.
import { utf8Bytes, utf8Text } from '../../base/bytes.ts'
import type { Disk } from '../../ports/disk.ts'
import { blockNames } from './directory.ts'
import { metaFile } from './meta.ts'

/** Returns the names of the blocks that were repaired. A block whose meta.json cannot be read is left for `openBlocks` to report. */
export function repairIndexVersions(disk: Disk, directory: string): string[] {
  return blockNames(disk, directory).filter((ulid) => {
    const path = `${directory}/${ulid}`
    const meta = oldMeta(disk, path)
    if (meta === null) return false
    const index = disk.read(`${path}/index`)
    if (index.length > 4) index[4] = 2
    // meta.json last: until it says 1, the repair is done again
    replace(disk, `${path}/index`, index)
    replace(disk, `${path}/${metaFile}`, utf8Bytes(JSON.stringify({ ...meta, version: 1 }, null, '\t')))
    disk.syncDirectory(path)
    return true
  })
}

/** meta.json where it is of version 2, else null. */
function oldMeta(disk: Disk, path: string): object | null {
  try {
    const meta: unknown = JSON.parse(utf8Text(disk.read(`${path}/${metaFile}`)))
    return typeof meta === 'object' && meta !== null && 'version' in meta && meta.version === 2 ? meta : null
  } catch {
    return null
  }
}

function replace(disk: Disk, path: string, bytes: Uint8Array): void {
  disk.write(`${path}.repaired`, bytes)
  const file = disk.open(`${path}.repaired`, 'append')
  file.syncNow()
  file.close()
  disk.rename(`${path}.repaired`, path)
}
