// scrape_failure_log_file: JSON lines as Prometheus' structured logger writes them (FEATURES 1.43).
import { closeSync, openSync, writeSync } from 'node:fs'

export function openFailureLog(path: string): { write(record: Readonly<Record<string, unknown>>): void; close(): void } {
  const file = openSync(path, 'a', 0o666)
  return {
    write: (record) => void writeSync(file, `${JSON.stringify(record)}\n`),
    close: () => closeSync(file),
  }
}
