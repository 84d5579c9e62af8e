import type { LoadOptions } from '../../src/config/prometheus-config.ts'

/** Files in memory for loadConfig; globs may hold one *. */
export function memoryFiles(files: Record<string, string>, env: Record<string, string> = {}): LoadOptions {
  return {
    readFile(path) {
      const text = files[path]
      if (text === undefined) throw new Error(`open ${path}: no such file or directory`)
      return text
    },
    glob(pattern) {
      const [head, tail] = pattern.split('*')
      const fits = (path: string): boolean =>
        tail === undefined ? path === pattern : path.startsWith(head!) && path.endsWith(tail) && !path.slice(head!.length).includes('/')
      return Object.keys(files).filter(fits).sort()
    },
    env: (name) => env[name],
  }
}
