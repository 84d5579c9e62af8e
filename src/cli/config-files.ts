// Files for src/config: text and globs from the real disk.
import { globSync, readFileSync, statSync } from 'node:fs'
import type { ConfigFiles } from '../config/prometheus-config.ts'
import { limits } from '../base/limits.ts'

export const nodeConfigFiles: ConfigFiles = {
  readFile(path) {
    const size = statSync(path).size
    if (size > limits.configBytesMax) throw new Error(`${size} bytes, limit ${limits.configBytesMax}`)
    return readFileSync(path, 'utf8')
  },
  glob: (pattern) => globSync(pattern).sort(),
}
