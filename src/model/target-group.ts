import type { Labels } from './labels.ts'

/**
 * What discovery hands over: targets with common labels. A later group with the same `source` replaces the earlier one; an empty one removes it.
 * Each target carries `__address__` and its `__meta_…` labels; labels of the target win over those of the group.
 */
export type TargetGroup = Readonly<{ source: string; targets: readonly Labels[]; labels: Labels }>
