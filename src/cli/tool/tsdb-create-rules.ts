// `tsdb create-blocks-from rules` (FEATURES 3.26, 9.14): recording rules over the past, evaluated by a Prometheus API. Source: prometheus cmd/promtool/rules.go.
import { messageOf, PromhiveError } from '../../base/errors.ts'
import { labelPairs, labelsFrom, labelsKey, metricNameLabel, type Labels } from '../../model/labels.ts'
import { SampleColumns } from '../../model/samples.ts'
import type { RecordingRuleOptions, RuleGroup } from '../../rules/options.ts'
import { groupPhaseMs, slotBefore } from '../../rules/slots.ts'
import { timeText } from './tsdb-table.ts'
import { BackfillBlocks, type BackfillSeries, type CreateBlocksIo, type CreateBlocksOptions } from './tsdb-create-blocks.ts'

export type CreateRulesOptions = CreateBlocksOptions &
  Readonly<{
    /** Both are taken to whole seconds. */
    startMs: number
    endMs: number
    /** --eval-interval, for groups without one. */
    evalIntervalMs: number
  }>

/** One series of a range query's answer. */
export type RangeSeries = Readonly<{ labels: Labels; times: Float64Array; values: Float64Array }>

export type CreateRulesIo = CreateBlocksIo &
  Readonly<{
    printError(line: string): void
    /** `/api/v1/query_range`: a matrix. Rejects with the text of the failure. */
    queryRange(
      expr: string,
      startMs: number,
      endMs: number,
      stepMs: number,
    ): Promise<{ series: readonly RangeSeries[]; warnings: readonly string[] }>
  }>

/** Alerting rules are skipped. Returns whether all went well; what did not is printed, and the rest goes on. Throws where the range is empty. */
export async function createBlocksFromRules(
  groups: readonly RuleGroup[],
  options: CreateRulesOptions,
  io: CreateRulesIo,
): Promise<boolean> {
  if (options.startMs >= options.endMs) throw new PromhiveError('BAD_REQUEST', 'start time is not before end time')
  io.disk.makeDirectory(options.outputDirectory)
  let failures = 0
  for (const group of groups) {
    if (!options.quiet) io.printError(`processing group ${group.file};${group.name}`)
    for (const [i, rule] of group.rules.entries()) {
      if (rule.kind !== 'record') continue
      if (!options.quiet) io.printError(`processing rule ${i} ${rule.name}`)
      try {
        await importRule(group, rule, options, io)
      } catch (thrown) {
        failures++
        io.printError(`rule importer error: ${messageOf(thrown)}`)
      }
    }
  }
  if (failures > 0) io.printError('error importing rules')
  return failures === 0
}

async function importRule(group: RuleGroup, rule: RecordingRuleOptions, options: CreateRulesOptions, io: CreateRulesIo): Promise<void> {
  const intervalMs = group.intervalMs ?? options.evalIntervalMs
  const phaseMs = groupPhaseMs(group.file, group.name, intervalMs)
  const blocks = new BackfillBlocks({ ...options, quiet: true }, io)
  const startMs = Math.floor(options.startMs / 1000) * 1000
  const endMs = Math.floor(options.endMs / 1000) * 1000
  for (let blockStart = Math.floor(startMs / blocks.blockMs) * blocks.blockMs; blockStart <= endMs; blockStart += blocks.blockMs) {
    const from = Math.max(blockStart, startMs)
    let first = slotBefore(from, intervalMs, phaseMs)
    if (first < from) first += intervalMs
    const last = Math.min(Math.floor((blockStart + blocks.blockMs - 1) / 1000) * 1000, endMs)
    if (last < first) break
    let answer: Awaited<ReturnType<CreateRulesIo['queryRange']>>
    try {
      answer = await io.queryRange(rule.expr, first, last, intervalMs)
    } catch (thrown) {
      throw new PromhiveError('UNAVAILABLE', `query range: ${messageOf(thrown)}`, {}, thrown)
    }
    for (const warning of answer.warnings) io.printError(`Range query returned warnings. warnings=${warning}`)
    blocks.write(recorded(rule, group, answer.series))
    io.progress?.(() => `${rule.name}: ${answer.series.length} series until ${timeText(last, true)}`)
  }
}

/** The rule's name and labels over those of the query's answer. */
function recorded(rule: RecordingRuleOptions, group: RuleGroup, answer: readonly RangeSeries[]): BackfillSeries[] {
  const out = new Map<string, BackfillSeries>()
  const own: [string, string][] = []
  for (const pairs of [group.labels, rule.labels]) for (let i = 0; i < pairs.length; i += 2) own.push([pairs[i]!, pairs[i + 1]!])
  for (const { labels, times, values } of answer) {
    const named = labelsFrom([...labelPairs(labels), ...own, [metricNameLabel, rule.name] as const])
    const key = labelsKey(named)
    const series = out.get(key) ?? { labels: named, columns: new SampleColumns(times.length) }
    out.set(key, series)
    times.forEach((time, i) => series.columns.push(time, values[i]!))
  }
  return [...out.values()]
}
