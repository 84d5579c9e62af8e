import type { HistogramMetric, MetricsRegistry, Numbers, SummaryMetric } from '../base/metrics.ts'

/** The rules' own metrics, by Prometheus' names. Rows by group carry `rule_group="file;name"`. Source: prometheus rules/group.go NewGroupMetrics. */
export class RuleMetrics {
  readonly evaluations: Numbers
  readonly evaluationFailures: Numbers
  readonly iterations: Numbers
  readonly iterationsMissed: Numbers
  readonly groupInterval: Numbers
  readonly groupRules: Numbers
  readonly groupSamples: Numbers
  readonly groupLastEvaluation: Numbers
  readonly groupLastDuration: Numbers
  readonly groupLastRuleDurationSum: Numbers
  readonly groupLastRestoreDuration: Numbers
  readonly templateExpansions: Numbers
  readonly templateExpansionFailures: Numbers
  readonly #evaluationSummary: SummaryMetric
  readonly #evaluationHistogram: HistogramMetric
  readonly #groupSummary: SummaryMetric
  readonly #groupHistogram: HistogramMetric

  constructor(registry: MetricsRegistry) {
    const byGroup = ['rule_group']
    const buckets = [0.01, 0.1, 1, 10]
    this.evaluations = registry.counter('prometheus_rule_evaluations_total', 'The total number of rule evaluations.', byGroup)
    this.evaluationFailures = registry.counter(
      'prometheus_rule_evaluation_failures_total',
      'The total number of rule evaluation failures.',
      byGroup,
    )
    this.iterations = registry.counter('prometheus_rule_group_iterations_total', 'The total number of scheduled rule group evaluations, whether executed or missed.', byGroup) // prettier-ignore
    this.iterationsMissed = registry.counter('prometheus_rule_group_iterations_missed_total', 'The total number of rule group evaluations missed due to slow rule group evaluation.', byGroup) // prettier-ignore
    this.groupInterval = registry.gauge('prometheus_rule_group_interval_seconds', 'The interval of a rule group.', byGroup)
    this.groupRules = registry.gauge('prometheus_rule_group_rules', 'The number of rules.', byGroup)
    this.groupSamples = registry.gauge('prometheus_rule_group_last_evaluation_samples', 'The number of samples returned during the last rule group evaluation.', byGroup) // prettier-ignore
    this.groupLastEvaluation = registry.gauge('prometheus_rule_group_last_evaluation_timestamp_seconds', 'The timestamp of the last rule group evaluation in seconds.', byGroup) // prettier-ignore
    this.groupLastDuration = registry.gauge('prometheus_rule_group_last_duration_seconds', 'The duration of the last rule group evaluation.', byGroup) // prettier-ignore
    this.groupLastRuleDurationSum = registry.gauge('prometheus_rule_group_last_rule_duration_sum_seconds', 'The sum of time in seconds it took to evaluate each rule in the group, however many ran at once.', byGroup) // prettier-ignore
    this.groupLastRestoreDuration = registry.gauge('prometheus_rule_group_last_restore_duration_seconds', 'The duration of the last restoration of alerts from the `ALERTS_FOR_STATE` series.', byGroup) // prettier-ignore
    this.#evaluationSummary = registry.summary('prometheus_rule_evaluation_duration_seconds', 'The duration for a rule to execute.', [0.5, 0.9, 0.99]) // prettier-ignore
    this.#evaluationHistogram = registry.histogram('prometheus_rule_evaluation_duration_histogram_seconds', 'The duration for a rule to execute.', buckets) // prettier-ignore
    this.#groupSummary = registry.summary('prometheus_rule_group_duration_seconds', 'The duration of rule group evaluations.', [0.01, 0.05, 0.5, 0.9, 0.99]) // prettier-ignore
    this.#groupHistogram = registry.histogram('prometheus_rule_group_duration_histogram_seconds', 'The duration of rule group evaluations.', buckets) // prettier-ignore
    this.templateExpansions = registry.counter('prometheus_template_text_expansions_total', 'The total number of template text expansions.')
    this.templateExpansionFailures = registry.counter('prometheus_template_text_expansion_failures_total', 'The total number of template text expansion failures.') // prettier-ignore
  }

  observeEvaluation(seconds: number): void {
    this.#evaluationSummary.labels().observe(seconds)
    this.#evaluationHistogram.observe(seconds)
  }

  observeGroup(seconds: number): void {
    this.#groupSummary.labels().observe(seconds)
    this.#groupHistogram.observe(seconds)
  }

  /** Rows of a group exist from its start, at 0. */
  addGroup(key: string, rules: number, intervalMs: number): void {
    for (const metric of this.#perGroup()) metric.labels(key)
    this.groupRules.labels(key).set(rules)
    this.groupInterval.labels(key).set(intervalMs / 1000)
  }

  removeGroup(key: string): void {
    for (const metric of this.#perGroup()) metric.remove(key)
    this.groupLastRestoreDuration.remove(key)
  }

  #perGroup(): Numbers[] {
    return [
      this.evaluations,
      this.evaluationFailures,
      this.iterations,
      this.iterationsMissed,
      this.groupInterval,
      this.groupRules,
      this.groupSamples,
      this.groupLastEvaluation,
      this.groupLastDuration,
      this.groupLastRuleDurationSum,
    ]
  }
}
