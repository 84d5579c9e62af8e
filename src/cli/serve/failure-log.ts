// scrape_failure_log_file: JSON lines as Prometheus' structured logger writes them (FEATURES 1.43).
import type { Logger } from '../../base/logger.ts'
import { openLineFile } from '../../ports/node/line-file.ts'
import type { FailureLog } from '../../scrape/target-scrape.ts'

/** Opens such files; what cannot be written is told in the program's own log. */
export function failureLogs(logger: Logger): (path: string) => FailureLog & { close(): void } {
  return (path) => {
    const file = openLineFile(path, (lines, why) => logger.warn({ lines, err: why }, 'lines of a scrape failure log are lost'))
    return {
      write: (record) => file.write(JSON.stringify(record)),
      close: () => void file.close(),
    }
  }
}
