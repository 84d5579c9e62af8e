// /api/v1/features, but for what the edge knows itself.
import { supportedDiscovery } from '../../discovery/manager.ts'
import { promqlFeatureFlags } from '../../promql/features.ts'
import { prometheusFunctions } from '../../template/functions.ts'
import type { Settings } from './settings.ts'

export function featureList({ features, flags, promql }: Settings): Record<string, Record<string, boolean>> {
  const language = promqlFeatureFlags(promql, {
    perStepStats: features.has('promql-per-step-stats'),
    typeAndUnitLabels: features.has('type-and-unit-labels'),
  })
  return {
    prometheus: {
      agent_mode: flags.agent,
      auto_reload_config: flags['config.auto-reload'] || features.has('auto-reload-config'),
      server_mode: !flags.agent,
      stringlabels: true,
    },
    promql: language.promql,
    promql_operators: language.operators,
    promql_functions: language.functions,
    rules: { concurrent_rule_eval: features.has('concurrent-rule-eval'), keep_firing_for: true, query_offset: true },
    scrape: {
      extra_scrape_metrics: true,
      start_timestamp_zero_ingestion: features.has('created-timestamp-zero-ingestion'),
      type_and_unit_labels: features.has('type-and-unit-labels'),
    },
    service_discovery_providers: Object.fromEntries(supportedDiscovery.map((kind) => [kind, true])),
    templating_functions: Object.fromEntries(Array.from(prometheusFunctions.keys(), (name) => [name, true])),
    tsdb: {
      delayed_compaction: false,
      exemplar_storage: features.has('exemplar-storage'),
      histograms_st_encoding: false,
      isolation: true,
      native_histograms: true,
      st_storage: false,
      use_uncached_io: false,
      xor2_encoding: false,
    },
  }
}
