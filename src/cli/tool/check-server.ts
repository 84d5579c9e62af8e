// `check healthy` and `check ready` (FEATURES 9.07). Source: prometheus cmd/promtool.
import { messageOf } from '../../base/errors.ts'
import { parseHttpClientConfig } from '../../config/http-client-file.ts'
import { printProblem } from '../../config/problem.ts'
import { defaultHttpClientOptions } from '../../model/http-options.ts'
import type { Http } from '../../ports/http.ts'
import { exitCodes } from './check-io.ts'
import type { CheckIo, ExitCode } from './check-io.ts'

export type CheckServerOptions = Readonly<{
  /** --url, default http://localhost:9090 */
  url: string
  /** --http.config.file, '' = none. */
  httpConfigFile: string
}>

export async function checkServer(what: 'healthy' | 'ready', options: CheckServerOptions, io: CheckIo, http: Http): Promise<ExitCode> {
  const fail = (why: string): ExitCode => {
    io.printError(`  FAILED: ${why}`)
    return exitCodes.failure
  }
  let client = defaultHttpClientOptions
  if (options.httpConfigFile !== '') {
    const parsed = parseHttpClientConfig(options.httpConfigFile, io)
    if (parsed.options === null) return fail(parsed.problems.map(printProblem).join('\n'))
    client = parsed.options
  }
  const base = options.url.includes('://') ? options.url : `http://${options.url}`
  const url = `${base.replace(/\/+$/, '')}/-/${what}`
  const connection = http.client(client)
  try {
    const answer = await connection.request({ method: 'GET', url, timeoutMs: 10_000, bodyBytesMax: 1 << 20 })
    if (answer.status !== 200) return fail(`check failed: URL=${base}, status=${answer.status}`)
    io.printError(`  SUCCESS:  ${new TextDecoder().decode(answer.body)}`)
    return exitCodes.success
  } catch (thrown) {
    return fail(messageOf(thrown))
  } finally {
    await connection.close()
  }
}
