// `check service-discovery` (FEATURES 9.06): what the sections of one scrape job find, and what relabelling makes of it. Source: prometheus cmd/promtool/sd.go.
import type { Logger } from '../../base/logger.ts'
import { messageOf } from '../../base/errors.ts'
import { MetricsRegistry } from '../../base/metrics.ts'
import { loadConfig } from '../../config/prometheus-config.ts'
import { printProblem } from '../../config/problem.ts'
import { openMechanism } from '../../discovery/manager.ts'
import type { DiscoveryPorts, Mechanism } from '../../discovery/mechanism.ts'
import { discoveryMetrics } from '../../discovery/metrics.ts'
import { emptyLabels, labelsToObject, type Labels } from '../../model/labels.ts'
import type { TargetGroup } from '../../model/target-group.ts'
import { compileRelabel } from '../../relabel/relabel.ts'
import type { ScrapeOptions } from '../../scrape/options.ts'
import { discoveredLabels, populateTarget } from '../../scrape/target.ts'
import { exitCodes, type CheckIo, type ExitCode } from './check-io.ts'

export type CheckServiceDiscoveryOptions = Readonly<{
  configFile: string
  jobName: string
  /** --timeout, default 30 s: answers that have not come by then are left out. */
  timeoutMs: number
}>

/**
 * Prints a JSON list of targets with `discoveredLabels`, `labels` (empty where relabelling dropped the target) and, where the target cannot be scraped, `error`
 * with the reason. Ends when every section has answered, at the latest after the timeout.
 */
export async function checkServiceDiscovery(
  options: CheckServiceDiscoveryOptions,
  io: CheckIo,
  ports: Omit<DiscoveryPorts, 'log' | 'metrics'>,
): Promise<ExitCode> {
  const fail = (...lines: readonly string[]): ExitCode => {
    for (const line of lines) io.printError(line)
    return exitCodes.failure
  }
  const { config, problems } = loadConfig(options.configFile, {
    readFile: (path) => io.readFile(path),
    glob: (pattern) => io.glob(pattern),
    env: () => undefined,
  })
  if (config === null) return fail(`Cannot load config ${options.configFile}`, ...problems.map((problem) => `  ${printProblem(problem)}`))
  const job = config.scrapeJobs.find((each) => each.options.jobName === options.jobName)
  if (job === undefined) {
    const names = config.scrapeJobs.map((each) => `\t${each.options.jobName}`)
    return fail(`Job ${options.jobName} not found. Select one of:`, ...names)
  }
  let mechanisms: Mechanism[]
  try {
    const all: DiscoveryPorts = { ...ports, log: printingLogger(io), metrics: discoveryMetrics(new MetricsRegistry()) }
    mechanisms = job.discovery.map((section) => openMechanism(section, options.jobName, all))
  } catch (thrown) {
    return fail(`Could not create new discoverer: ${messageOf(thrown)}`)
  }
  const groups = await discover(mechanisms, options.timeoutMs, ports)
  io.print(printJson(groups.flatMap((found) => results(job.options, found))))
  return exitCodes.success
}

/** By section: its groups in the order of their first coming. */
function discover(mechanisms: readonly Mechanism[], timeoutMs: number, { clock }: Pick<DiscoveryPorts, 'clock'>): Promise<TargetGroup[][]> {
  const found = mechanisms.map(() => new Map<string, TargetGroup>())
  const silent = new Set(mechanisms)
  return new Promise((resolve) => {
    const end = (): void => {
      timer.cancel()
      for (const mechanism of mechanisms) mechanism.stop()
      resolve(found.map((groups) => [...groups.values()]))
    }
    const timer = clock.after(timeoutMs, end)
    mechanisms.forEach((mechanism, i) =>
      mechanism.start((groups) => {
        for (const group of groups) {
          if (group.targets.length === 0) found[i]!.delete(group.source)
          else found[i]!.set(group.source, group)
        }
        if (silent.delete(mechanism) && silent.size === 0) end()
      }),
    )
    if (mechanisms.length === 0) end()
  })
}

type Result = Readonly<{ discoveredLabels: Readonly<Record<string, string>>; labels: Readonly<Record<string, string>>; error?: string }>

/** Of one section; targets that come to the same are listed once a group, as promtool does. */
function results(options: ScrapeOptions, groups: readonly TargetGroup[]): Result[] {
  const relabeling = compileRelabel(options.relabelRules)
  return groups.flatMap(({ targets, labels: common }) => {
    const distinct = new Map<string, Result>()
    for (const target of targets) {
      const populated = populateTarget(options, relabeling, target, common)
      const labels: Labels = 'target' in populated ? populated.target.allLabels : emptyLabels
      const result: Result = {
        discoveredLabels: labelsToObject(discoveredLabels(options, target, common)),
        labels: labelsToObject(labels),
        ...('problem' in populated ? { error: populated.problem } : {}),
      }
      distinct.set(JSON.stringify(result), result)
    }
    return [...distinct.values()]
  })
}

/** As Go's encoder writes it, so that outputs can be compared. */
function printJson(value: readonly Result[]): string {
  const escapes: Readonly<Record<string, string>> = {
    '<': '\\u003c',
    '>': '\\u003e',
    '&': '\\u0026',
    '\u2028': '\\u2028',
    '\u2029': '\\u2029',
  }
  return JSON.stringify(value, null, 2).replace(/[<>&\u2028\u2029]/g, (char) => escapes[char]!)
}

/** What goes wrong on the way, one line each. */
function printingLogger(io: CheckIo): Logger {
  const print = (fields: Readonly<Record<string, unknown>>, message: string): void => {
    const rest = Object.entries(fields).map(([name, value]) => ` ${name}=${JSON.stringify(value)}`)
    io.printError(`${message}${rest.join('')}`)
  }
  const quiet = (): void => {}
  const logger: Logger = { debug: quiet, info: quiet, warn: print, error: print, child: () => logger }
  return logger
}
