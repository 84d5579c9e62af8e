/** Tells when files change, so that a refresh need not wait. Best effort: a change may be told twice or not at all. */
export interface Watcher {
  /** Calls back after something in the directory was created, changed or removed. */
  watch(directory: string, changed: () => void): Watch
}
export interface Watch {
  close(): void
}
