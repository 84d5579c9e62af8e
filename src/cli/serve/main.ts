// `promhive serve`: command line, logger, signals, exit codes (0 ended in order, 1 failed, 2 bad configuration or flags, as Prometheus').
import module from 'node:module'
import type { Worker } from 'node:worker_threads'
import { messageOf, PromhiveError } from '../../base/errors.ts'
import { parseServeFlags, unsupportedFlags, type FeatureName } from '../../config/serve-flags.ts'
import { nodeCompute } from '../../ports/node/compute.ts'
import { setHeapFlags } from '../../ports/node/heap-flags.js'
import { nodeLogger, type LogFormat, type LogLevel } from '../../ports/node/logger.ts'
import { nameSourcesInStacks } from '../../ports/node/source-places.ts'
import { buildInfo } from './build-info.ts'
import type { Loaded } from './configuration.ts'
import { actedOnFlags, settingsOf, type Settings } from './settings.ts'
import { storageLane } from './storage-lane.ts'

/** Features serve has, and features of Prometheus that need nothing here: they tune its own inside. */
const actedOnFeatures: ReadonlySet<FeatureName> = new Set<FeatureName>([
  'auto-reload-config', 'concurrent-rule-eval', 'created-timestamp-zero-ingestion', 'exemplar-storage', 'extra-scrape-metrics',
  'native-histograms', 'ooo-native-histograms', 'promql-binop-fill-modifiers', 'promql-delayed-name-removal', 'promql-duration-expr',
  'promql-experimental-functions', 'promql-extended-range-selectors', 'promql-per-step-stats', 'type-and-unit-labels', 'use-start-timestamps',
]) // prettier-ignore
const needlessFeatures: ReadonlySet<FeatureName> = new Set<FeatureName>([
  'delayed-compaction', 'fast-startup', 'memory-snapshot-on-shutdown', 'use-uncached-io', 'old-ui',
]) // prettier-ignore

/** @param threads for the storage workers, started already. */
export async function serve(argv: readonly string[], threads: readonly Worker[] = []): Promise<number> {
  nameSourcesInStacks()
  const parsed = parseServeFlags(argv, {
    program: 'promhive serve',
    version: `promhive, version ${buildInfo.version} (node ${process.version})`,
  })
  if (parsed.kind === 'problem') {
    console.error(parsed.message)
    return parsed.exitCode
  }
  if (parsed.kind !== 'flags') {
    console.log(parsed.text)
    return 0
  }
  const refused = [
    ...unsupportedFlags(parsed, actedOnFlags),
    ...[...parsed.features]
      .filter((name) => !actedOnFeatures.has(name) && !needlessFeatures.has(name))
      .map((name) => `--enable-feature=${name} is not supported yet by this program`),
  ]
  if (refused.length > 0) {
    for (const line of refused) console.error(line)
    return 2
  }
  const logger = nodeLogger({ level: parsed.flags['log.level'] as LogLevel, format: parsed.flags['log.format'] as LogFormat })
  for (const warning of parsed.warnings) logger.warn({}, warning)
  for (const name of parsed.features) if (needlessFeatures.has(name)) logger.info({ feature: name }, 'This feature needs no switch here')
  // the storage workers load their program while this thread loads the rest
  const compute = nodeCompute({ threads })
  const lanes = parsed.flags['storage.workers'] || compute.lanesDefault
  compute.prepare(storageLane, lanes)
  // what the configuration needs is loaded first, then the storage; what serves and scrapes is loaded while the storage recovers
  const { loadConfiguration } = await import('./configuration.ts')
  let settings: Settings
  let loaded: Loaded
  try {
    settings = settingsOf(parsed)
    logger.info({ version: buildInfo.version, node: process.version, config: settings.configFile }, 'Starting Promhive')
    loaded = loadConfiguration(settings)
  } catch (thrown) {
    for (const line of messageOf(thrown).split('\n')) logger.error({}, line)
    return 2
  }
  const { openNodeStorage } = await import('./node-storage.ts')
  const opening = openNodeStorage(settings, loaded, { compute, lanes }, logger.child({ component: 'tsdb' }))
  await opening.recovering
  // in parts: between them the log's records go to the workers
  await import('../../api/server.ts')
  await import('./roles.ts')
  const { Server } = await import('./server.ts')
  const { nodeProfiler } = await import('../../ports/node/profiler.ts')
  const profiler = nodeProfiler(compute, logger.child({ component: 'web' }))
  const ended = Promise.withResolvers<void>()
  const server = new Server(settings, logger, loaded, opening, profiler, () => ended.resolve())
  const end = (signal: string): void => {
    logger.warn({ signal }, 'Received an OS signal, exiting gracefully...')
    ended.resolve()
  }
  process.once('SIGTERM', end)
  process.once('SIGINT', end)
  process.on('SIGHUP', () => void server.reload().catch(() => {}))
  try {
    await server.listen()
    setHeapFlags()
    await server.start()
    keepCompiledLater(() => profiler.watch())
    await ended.promise
    await server.stop()
    logger.info({}, 'See you next time!')
    return 0
  } catch (thrown) {
    const expected = thrown instanceof PromhiveError
    logger.error(expected ? {} : { err: thrown instanceof Error ? thrown.stack : String(thrown) }, messageOf(thrown))
    await server.stop().catch(() => {})
    return 1
  }
}

/** What was compiled is written to the cache before the end: the process may not end in order. */
function keepCompiledLater(last: () => Promise<void>): void {
  setTimeout(() => {
    // first what is loaded now only, so that its compiled code is kept too
    void last().finally(() => module.flushCompileCache())
  }, 15_000).unref()
}
