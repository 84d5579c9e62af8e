import type { Histogram } from '../model/histogram.ts'
import { printHistogram } from '../model/histogram-text.ts'
import { labelPairs } from '../model/labels.ts'
import type { ParsedTemplate } from './expand.ts'
import { parseTemplate } from './expand.ts'
import type { TemplateEnv, TemplateSample } from './functions.ts'
import { prometheusFunctions } from './functions.ts'
import { MapValue, PrintedValue, StructValue } from './value.ts'

/** Labels and annotations of alerting rules: `.Labels`, `.ExternalLabels`, `.ExternalURL`, `.Value`, and variables of the same. */

/** Goes in front of every alert template. It shows in the columns of messages, so it is part of the text, as in Prometheus. */
const definitions = '{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}{{$externalURL := .ExternalURL}}{{$value := .Value}}'

/** Parses one label or annotation of the alert `alertName`. Texts without actions need no template: see isPlain. */
export function parseAlertTemplate(alertName: string, text: string): ParsedTemplate<TemplateEnv> {
  return parseTemplate(`__alert_${alertName}`, definitions + text, prometheusFunctions)
}

/** Whether a text expands to itself. */
export function isPlain(text: string): boolean {
  return !text.includes('{{')
}

const dataType = 'struct { Labels map[string]string; ExternalLabels map[string]string; ExternalURL string; Value interface {} }'
const interfaceFields = new Set(['Value'])

/** What an alert template sees. `labels` are flat pairs; `value` comes from templateValue. */
export function alertTemplateData(labels: readonly string[], externalLabels: MapValue, externalUrl: string, value: unknown): StructValue {
  const fields = new Map<string, unknown>([
    ['Labels', labelsMap(labels)],
    ['ExternalLabels', externalLabels],
    ['ExternalURL', externalUrl],
    ['Value', value],
  ])
  return new StructValue(fields, dataType, { interfaceFields })
}

export function labelsMap(labels: readonly string[]): MapValue {
  return new MapValue(new Map(labelPairs(labels)))
}

/** A sample's value as templates see it. */
export function templateValue(value: number, histogram: Histogram | null): unknown {
  return histogram === null ? value : new PrintedValue('*histogram.FloatHistogram', printHistogram(histogram))
}

/** A query's answer as templates see it. */
export function templateSamples(
  labels: readonly (readonly string[])[],
  values: Float64Array,
  histograms: readonly (Histogram | null)[] | undefined,
): TemplateSample[] {
  return labels.map((pairs, i) => ({
    labels: new Map(labelPairs(pairs)),
    value: templateValue(values[i]!, histograms?.[i] ?? null),
  }))
}
