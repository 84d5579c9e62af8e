// Blocks of Prometheus 2.1 say version 2 in meta.json and 1 in an index of version 2. They are put right when they are opened to be served.
// Source: prometheus tsdb/repair.go.
import { utf8Bytes, utf8Text } from '../../base/bytes.ts'
import type { Disk } from '../../ports/disk.ts'
import { metaFile } from './meta.ts'

/** True where the block was repaired: it can be opened now. One whose meta.json cannot be read is left as it is. */
export function repairIndexVersion(disk: Disk, block: string): boolean {
  const meta = oldMeta(disk, block)
  if (meta === null) return false
  const index = disk.read(`${block}/index`)
  if (index.length > 4) index[4] = 2
  // meta.json last: until it says 1, the repair is done again
  replace(disk, `${block}/index`, index)
  replace(disk, `${block}/${metaFile}`, utf8Bytes(JSON.stringify({ ...meta, version: 1 }, null, '\t')))
  disk.syncDirectory(block)
  return true
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
