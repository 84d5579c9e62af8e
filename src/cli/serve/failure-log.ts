// scrape_failure_log_file: JSON lines as Prometheus' structured logger writes them (FEATURES 1.43).
import type { Logger } from '../../base/logger.ts'
import type { OpenLineFile } from '../../ports/line-file.ts'
import type { FailureLog } from '../../scrape/target-scrape.ts'

/** Opens such files; what cannot be written is told in the program's own log. */
export function failureLogs(open: OpenLineFile, logger: Logger): (path: string) => FailureLog & { close(): void } {
  return (path) => {
    const file = open(path, (lines, why) => logger.warn({ lines, err: why }, 'lines of a scrape failure log are lost'))
    return {
      write: (record) => file.write(JSON.stringify(record)),
      close: () => void file.close(),
    }
  }
}
