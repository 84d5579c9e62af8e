/** Tells when files change, so that a refresh need not wait. Best effort: a change may be told twice or not at all. */
export interface Watcher {
  /**
   * Calls `changed` after something in the directory was created, changed or removed. A directory that cannot be watched, or no longer, is told to
   * `failed`, at once or later; the watch is over then.
   */
  watch(directory: string, changed: () => void, failed: (why: string) => void): Watch
}
export interface Watch {
  close(): void
}
