import type { Labels } from '../model/labels.ts'
import { labelPairs, labelValue, labelsEqual, withLabel } from '../model/labels.ts'
import type { OutgoingAlert } from './alert.ts'
import type { Relabel } from './options.ts'

/**
 * External labels where the alert has none of that name, then relabelling; alerts it drops are gone. Alerts that stay as they are, are the same
 * objects. Source: prometheus notifier/alert.go relabelAlerts.
 */
export function relabelAlerts(alerts: readonly OutgoingAlert[], externalLabels: Labels, relabel: Relabel): OutgoingAlert[] {
  const out: OutgoingAlert[] = []
  for (const alert of alerts) {
    let labels = alert.labels
    for (const [name, value] of labelPairs(externalLabels)) if (labelValue(labels, name) === '') labels = withLabel(labels, name, value)
    const kept = relabel(labels)
    if (kept !== null) out.push(labelsEqual(kept, alert.labels) ? alert : { ...alert, labels: kept })
  }
  return out
}
