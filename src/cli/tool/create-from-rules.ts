// `tsdb create-blocks-from rules` on the machine: rule files from disk, answers from a server.
import { messageOf, PromhiveError } from '../../base/errors.ts'
import { printProblem } from '../../config/problem.ts'
import { parseRuleFile } from '../../config/rule-files.ts'
import { labelsFromObject } from '../../model/labels.ts'
import { parseGoFloat } from '../../model/number-text.ts'
import type { PromqlFeatures } from '../../promql/ast.ts'
import type { RuleGroup } from '../../rules/options.ts'
import { ApiClient, readNamedTime, secondsText } from './api-client.ts'
import { exitCodes, type ExitCode } from './check-io.ts'
import { ruleChecks } from './rule-checks.ts'
import { newUlid, progressOf, toolPorts, type ToolIo } from './tool-io.ts'
import { createBlocksFromRules, type CreateRulesIo } from './tsdb-create-rules.ts'

export type CreateFromRulesOptions = Readonly<{
  url: string
  httpConfigFile: string
  /** Unix seconds or RFC 3339; end '' = three hours ago. */
  start: string
  end: string
  outputDir: string
  /** Milliseconds. */
  evalInterval: number
  humanReadable: boolean
  quiet: boolean
  maxBlockMs: number
  features: PromqlFeatures
}>

/** Throws PromhiveError, whose message is what promtool prints. */
export async function createFromRules(files: readonly string[], options: CreateFromRulesOptions, io: ToolIo): Promise<ExitCode> {
  const endMs = options.end === '' ? toolPorts.clock.nowMs() - 3 * 3_600_000 : readNamedTime('end', options.end)
  const startMs = readNamedTime('start', options.start)
  if (startMs >= endMs) throw new PromhiveError('BAD_REQUEST', 'start time is not before end time')
  const groups = files.flatMap((file) => groupsOf(file, options.features, io))
  const client = new ApiClient({ url: options.url, httpConfigFile: options.httpConfigFile, headers: {} }, toolPorts.http, io)
  try {
    const done = await createBlocksFromRules(
      groups,
      {
        outputDirectory: options.outputDir,
        humanReadable: options.humanReadable,
        quiet: options.quiet,
        maxBlockMs: options.maxBlockMs,
        labels: [],
        startMs,
        endMs,
        evalIntervalMs: options.evalInterval,
      },
      {
        disk: toolPorts.disk,
        newUlid,
        print: io.print,
        printError: io.printError,
        queryRange: rangeQueries(client),
        progress: progressOf(io),
      },
    )
    return done ? exitCodes.success : exitCodes.failure
  } finally {
    await client.close()
  }
}

function groupsOf(file: string, features: PromqlFeatures, io: ToolIo): readonly RuleGroup[] {
  let source: string
  try {
    source = io.readFile(file)
  } catch (thrown) {
    throw new PromhiveError('CONFIG_INVALID', `rule importer parse error: ${messageOf(thrown)}`, {}, thrown)
  }
  const { groups, problems } = parseRuleFile(source, file, ruleChecks(features))
  if (problems.length > 0) throw new PromhiveError('CONFIG_INVALID', `rule importer parse error: ${problems.map(printProblem).join('\n')}`)
  return groups
}

function rangeQueries(client: ApiClient): CreateRulesIo['queryRange'] {
  return async (expr, startMs, endMs, stepMs) => {
    const { data, warnings } = await client.request('POST', '/api/v1/query_range', [
      ['query', expr],
      ['start', secondsText(startMs)],
      ['end', secondsText(endMs)],
      ['step', secondsText(stepMs)],
    ])
    const { resultType, result } = data as { resultType: string; result: readonly Stream[] }
    if (resultType !== 'matrix') throw new PromhiveError('UNAVAILABLE', `rule result is wrong type ${resultType}`)
    const series = result.map(({ metric, values = [] }) => ({
      labels: labelsFromObject(metric),
      times: Float64Array.from(values, ([seconds]) => Math.round(seconds * 1000)),
      values: Float64Array.from(values, ([, text]) => parseGoFloat(text) ?? NaN),
    }))
    return { series, warnings }
  }
}

type Stream = Readonly<{ metric: Readonly<Record<string, string>>; values?: readonly (readonly [seconds: number, text: string])[] }>
