import type { AlertingOptions } from '../../src/alerting/options.ts'
import type { TargetGroup } from '../../src/model/target-group.ts'
import type { RelabelRule } from '../../src/relabel/rule.ts'
import { channel } from '../../protocols/bus/control.ts'

/** Where a node's alerts go from now on. */
export const assignAlerting = channel<AlertingOptions<RelabelRule>, null>('notifier.assign')

/** What discovery knows of one entry of `alerting.alertmanagers`. */
export const discoveredAlertmanagers = channel<Readonly<{ entry: string; groups: readonly TargetGroup[] }>, null>('notifier.discovered')
