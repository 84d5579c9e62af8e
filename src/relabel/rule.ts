// One relabelling rule as plain frozen data (FEATURES 1.28, 1.29), after validation. Compile rules with compileRelabel to use them.

export const relabelActions = [
  'replace',
  'keep',
  'drop',
  'keepequal',
  'dropequal',
  'hashmod',
  'labelmap',
  'labeldrop',
  'labelkeep',
  'lowercase',
  'uppercase',
] as const
export type RelabelAction = (typeof relabelActions)[number]

/** Which label names are allowed: the classic alphabet, or any valid UTF-8. */
export type NameValidation = 'legacy' | 'utf8'

export type RelabelRule = Readonly<{
  sourceLabels: readonly string[]
  separator: string
  /** RE2 source, not anchored: matching is always over the whole text, and `.` matches newlines. */
  regex: string
  /** Only for hashmod, > 0. */
  modulus: number
  targetLabel: string
  replacement: string
  action: RelabelAction
  nameValidation: NameValidation
}>

export const defaultRelabelRule: RelabelRule = Object.freeze({
  sourceLabels: Object.freeze([]),
  separator: ';',
  regex: '(.*)',
  modulus: 0,
  targetLabel: '',
  replacement: '$1',
  action: 'replace',
  nameValidation: 'utf8',
})

/** A rule from the parts that differ from the defaults. */
export function relabelRule(parts: Partial<RelabelRule>): RelabelRule {
  return Object.freeze({ ...defaultRelabelRule, ...parts })
}
