// From the labels a target exposes to the labels of the stored series: target labels merged in, metric relabelling, validation, limits
// (FEATURES 1.14, 1.16, 1.19, 1.31). Runs once per new series.
import { PromhiveError } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { compareText, isLegacyLabelName, isLegacyMetricName, isUtf8Name, printLabels, quote, type Labels } from '../model/labels.ts'
import type { Relabeling } from '../relabel/relabel.ts'
import type { LineReader } from '../../protocols/exposition/line-reader.ts'
import type { MetricType } from '../model/metadata.ts'
import type { ScrapeOptions } from './options.ts'
import { SampleBytes } from './sample-bytes.ts'

export type LabelRules = Pick<
  ScrapeOptions,
  'honorLabels' | 'labelLimit' | 'labelNameLengthLimit' | 'labelValueLengthLimit' | 'metricNameValidationScheme'
>

export class SampleLabels {
  readonly #target: Labels
  readonly #rules: LabelRules
  readonly #relabeling: Relabeling
  readonly #limitHit: () => void
  /** Null where rules or limits must see every label. */
  readonly #bytes: SampleBytes | null

  /**
   * @param target the target's public labels.
   * @param limitHit called where a label limit fails the scrape.
   */
  constructor(target: Labels, rules: LabelRules, relabeling: Relabeling, limitHit: () => void) {
    this.#target = target
    this.#rules = rules
    this.#relabeling = relabeling
    this.#limitHit = limitHit
    const limited = rules.labelLimit > 0 || rules.labelNameLengthLimit > 0 || rules.labelValueLengthLimit > 0
    this.#bytes = limited || !relabeling.empty ? null : new SampleBytes(target)
  }

  /** What `of` would make of the line that was read, as canonical label bytes: a view until the next call. Null: ask `of`. */
  bytesOf(reader: LineReader, type: MetricType): Uint8Array | null {
    return this.#bytes === null ? null : this.#bytes.of(reader, type)
  }

  /**
   * @param exposed sorted; may hold empty values, which are absent labels that under honor_labels also keep the target's label away.
   * @returns null where relabelling drops the series. Throws PromhiveError SCRAPE where the whole scrape must fail.
   */
  of(exposed: Labels): Labels | null {
    for (let i = 2; i < exposed.length; i += 2) {
      if (exposed[i] === exposed[i - 2]) throw failed(`label name ${quote(exposed[i]!)} is not unique: invalid sample`)
    }
    const merged = this.#rules.honorLabels ? mergeHonoring(exposed, this.#target) : mergeOverriding(exposed, this.#target)
    const labels = this.#relabeling.apply(merged)
    if (labels === null || labels.length === 0) return null
    this.#check(labels)
    return labels
  }

  #check(labels: Labels): void {
    const legacy = this.#rules.metricNameValidationScheme === 'legacy'
    let name = ''
    let bytes = 0
    for (let i = 0; i < labels.length; i += 2) {
      if (labels[i] === '__name__') name = labels[i + 1]!
      bytes += labels[i]!.length + labels[i + 1]!.length
    }
    if (name === '') throw failed('missing metric name (__name__ label)')
    let valid = legacy ? isLegacyMetricName(name) : isUtf8Name(name)
    for (let i = 0; i < labels.length && valid; i += 2) {
      valid = (legacy ? isLegacyLabelName(labels[i]!) : isUtf8Name(labels[i]!)) && labels[i + 1]!.isWellFormed()
    }
    if (!valid) throw failed(`invalid metric name or label names: ${printLabels(labels)}`)
    if (labels.length / 2 > limits.labelsPerSeriesMax || bytes > limits.labelBytesPerSeriesMax / 3) {
      throw failed(
        `series is too large (metric: ${cut(name)}, number of labels: ${labels.length / 2}, limit: ${limits.labelsPerSeriesMax}, characters: ${bytes}, limit: ${Math.floor(limits.labelBytesPerSeriesMax / 3)})`,
      )
    }
    this.#checkLimits(labels, name)
  }

  #checkLimits(labels: Labels, metric: string): void {
    const { labelLimit, labelNameLengthLimit, labelValueLengthLimit } = this.#rules
    if (labelLimit === 0 && labelNameLengthLimit === 0 && labelValueLengthLimit === 0) return
    const name = cut(metric)
    const count = labels.length / 2
    if (labelLimit > 0 && count > labelLimit) {
      throw this.#limit(`label_limit exceeded (metric: ${name}, number of labels: ${count}, limit: ${labelLimit})`)
    }
    for (let i = 0; i < labels.length; i += 2) {
      if (labelNameLengthLimit > 0) {
        const length = utf8Length(labels[i]!)
        if (length > labelNameLengthLimit) {
          throw this.#limit(
            `label_name_length_limit exceeded (metric: ${name}, label name: ${cut(labels[i]!)}, length: ${length}, limit: ${labelNameLengthLimit})`,
          )
        }
      }
      if (labelValueLengthLimit > 0) {
        const length = utf8Length(labels[i + 1]!)
        if (length > labelValueLengthLimit) {
          throw this.#limit(
            `label_value_length_limit exceeded (metric: ${name}, label name: ${cut(labels[i]!)}, value: ${quote(cut(labels[i + 1]!))}, length: ${length}, limit: ${labelValueLengthLimit})`,
          )
        }
      }
    }
  }

  #limit(message: string): PromhiveError {
    this.#limitHit()
    return failed(message)
  }
}

function failed(message: string): PromhiveError {
  return new PromhiveError('SCRAPE', message)
}

function cut(text: string): string {
  return text.length <= 50 ? text : Array.from(text).slice(0, 50).join('')
}

function utf8Length(text: string): number {
  let length = text.length
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i)
    if (c < 0x80) continue
    length += c < 0x800 || (c >= 0xd800 && c <= 0xdfff) ? 1 : 2
  }
  return length
}

/** The exposed labels stand; the target's fill in what is not exposed at all. */
function mergeHonoring(exposed: Labels, target: Labels): Labels {
  const out: string[] = []
  let t = 0
  for (let i = 0; i < exposed.length; i += 2) {
    const name = exposed[i]!
    for (; t < target.length && compareText(target[t]!, name) < 0; t += 2) out.push(target[t]!, target[t + 1]!)
    if (t < target.length && target[t] === name) t += 2
    if (exposed[i + 1] !== '') out.push(name, exposed[i + 1]!)
  }
  for (; t < target.length; t += 2) out.push(target[t]!, target[t + 1]!)
  return out
}

/** The target's labels stand; exposed ones of the same name are renamed `exported_<name>`, again and again until the name is free. */
function mergeOverriding(exposed: Labels, target: Labels): Labels {
  const out: string[] = []
  let conflicts: string[] | null = null
  let t = 0
  for (let i = 0; i < exposed.length; i += 2) {
    const name = exposed[i]!
    for (; t < target.length && compareText(target[t]!, name) < 0; t += 2) out.push(target[t]!, target[t + 1]!)
    if (exposed[i + 1] === '') continue
    if (t < target.length && target[t] === name) (conflicts ??= []).push(name, exposed[i + 1]!)
    else out.push(name, exposed[i + 1]!)
  }
  for (; t < target.length; t += 2) out.push(target[t]!, target[t + 1]!)
  return conflicts === null ? out : withExported(out, conflicts)
}

/** Shorter names first, so that `a` and `exported_a` conflicting both end up where Prometheus puts them. */
function withExported(merged: string[], conflicts: string[]): Labels {
  const map = new Map<string, string>()
  for (let i = 0; i < merged.length; i += 2) map.set(merged[i]!, merged[i + 1]!)
  const pairs: [string, string][] = []
  for (let i = 0; i < conflicts.length; i += 2) pairs.push([conflicts[i]!, conflicts[i + 1]!])
  for (const [name, value] of pairs.sort(([a], [b]) => a.length - b.length)) {
    let free = `exported_${name}`
    while (map.has(free)) free = `exported_${free}`
    map.set(free, value)
  }
  return [...map].sort(([a], [b]) => compareText(a, b)).flat()
}

/**
 * Labels of a report series (`up`, `scrape_duration_seconds` …): the target's, with the metric name. A target label called `__name__` cannot be,
 * for names starting with `__` are not public.
 */
export function reportLabels(name: string, target: Labels): Labels {
  const out: string[] = []
  let placed = false
  for (let i = 0; i < target.length; i += 2) {
    if (!placed && compareText('__name__', target[i]!) < 0) {
      out.push('__name__', name)
      placed = true
    }
    out.push(target[i]!, target[i + 1]!)
  }
  if (!placed) out.push('__name__', name)
  return out
}
