// static_configs: targets written down (FEATURES 2.04).
import { labelsFrom, labelsFromObject } from '../../model/labels.ts'
import { always, field, labelSet, list, struct, text } from '../schema.ts'
import type { ValueOf } from '../schema.ts'
import type { DiscoverySection } from './kind.ts'

const group = struct('struct { Targets []string "yaml:\\"targets\\""; Labels model.LabelSet "yaml:\\"labels\\"" }', {
  targets: always(list(text())),
  labels: field(labelSet()),
})
export type StaticGroup = ValueOf<typeof group>

export const staticDiscovery: DiscoverySection = {
  kind: 'static',
  key: 'static_configs',
  list: list(group, '[]*targetgroup.Group', 'empty or null section in static_configs'),
  toOptions(values) {
    if (values.length === 0) return []
    const groups = (values as readonly StaticGroup[]).map(({ targets, labels }, i) =>
      Object.freeze({
        source: String(i),
        targets: Object.freeze(targets.map((address) => labelsFrom([['__address__', address]]))),
        labels: labelsFromObject(labels),
      }),
    )
    return [Object.freeze({ kind: 'static', groups: Object.freeze(groups) })]
  },
}
