// relabel_configs in all their places (FEATURES 1.28–1.31). Source: prometheus model/relabel.
import { isLegacyLabelName, quote } from '../model/labels.ts'
import { regexProblem } from '../model/regex.ts'
import { isTemplate } from '../relabel/relabel.ts'
import { defaultRelabelRule, relabelActions } from '../relabel/rule.ts'
import type { NameValidation, RelabelAction, RelabelRule } from '../relabel/rule.ts'
import { FlowList } from './dump.ts'
import { always, field, isValidName, list, nullableList, struct, text, uint } from './schema.ts'
import type { Reader, Report, Schema, ValueOf } from './schema.ts'
import { isNull } from './yaml-tree.ts'

/** Null where the key is absent: some actions forbid it even with its default value. */
const regexText = text({ check: (source) => regexProblem(source, { anchored: true }) })
const regex: Schema<string | null> = {
  read: (node, reader, path) => (isNull(node) ? '' : regexText.read(node, reader, path)),
  zero: () => null,
  isZero: (value) => value === null,
  print: (value) => value ?? '',
}

const actionText = text({ check: (name) => (isAction(name.toLowerCase()) ? null : `unknown relabel action ${quote(name)}`) })
const action: Schema<RelabelAction | ''> = {
  ...actionText,
  read: (node, reader, path) => actionText.read(node, reader, path)?.toLowerCase() as RelabelAction | '' | undefined,
  zero: () => '',
}
function isAction(name: string): name is RelabelAction {
  return (relabelActions as readonly string[]).includes(name)
}

const sourceLabels = nullableList(
  text({ check: (name) => (isValidName(name) ? null : `${quote(name)} is not a valid label name`) }),
  'model.LabelNames',
)

export const relabelConfig = struct('relabel.plain', {
  source_labels: field({ ...sourceLabels, print: (value) => new FlowList(value ?? []) }),
  separator: always(text(), defaultRelabelRule.separator),
  regex: field(regex),
  modulus: field(uint('uint64')),
  target_label: field(text()),
  replacement: always(text(), defaultRelabelRule.replacement),
  action: field(action, defaultRelabelRule.action),
})
export type RelabelValue = ValueOf<typeof relabelConfig>

/** `nullItem` words what is said about an item that is null: each place has its own words. */
export function relabelConfigs(nullItem: string): Schema<readonly RelabelValue[]> {
  return list(relabelConfig, '[]*relabel.Config', nullItem)
}

/** @see prometheus model/relabel relabelTargetLegacy */
const legacyTemplate = /^(?:(?:[a-zA-Z_]|\$(?:\{\w+\}|\w+))+\w*)+$/

/**
 * Turns rules into what src/relabel takes. The rules between the keys are checked here and not when they are read, because they depend on the
 * validation scheme of the job around them.
 */
export function toRelabelRules(values: readonly RelabelValue[], scheme: NameValidation, reader: Reader): readonly RelabelRule[] {
  return Object.freeze(values.map((value) => toRelabelRule(value, scheme, reader)))
}

function toRelabelRule(value: RelabelValue, scheme: NameValidation, reader: Reader): RelabelRule {
  if (!reader.isBroken(value)) checkRule(value, scheme, (key, message) => reader.problemIn(value, key, message))
  return Object.freeze({
    sourceLabels: value.source_labels ?? [],
    separator: value.separator,
    regex: value.regex ?? defaultRelabelRule.regex,
    modulus: value.modulus,
    targetLabel: value.target_label,
    replacement: value.replacement,
    action: value.action === '' ? 'replace' : value.action,
    nameValidation: scheme,
  })
}

function checkRule(value: RelabelValue, scheme: NameValidation, report: Report): void {
  const { action, target_label: target, replacement, separator } = value
  const isName = scheme === 'legacy' ? isLegacyLabelName : isValidName
  const isNameTemplate = (text: string): boolean =>
    scheme === 'legacy' ? text.length <= 256 && legacyTemplate.test(text) : isValidName(text)
  const invalidTarget = `${quote(target)} is invalid 'target_label' for ${action} action`
  const otherDefaults = value.modulus === 0 && separator === defaultRelabelRule.separator && replacement === defaultRelabelRule.replacement
  if (action === '') return report('action', 'relabel action cannot be empty')
  if (action === 'hashmod' && value.modulus === 0) {
    return report('modulus', 'relabel configuration for hashmod requires non-zero modulus')
  }
  if (action === 'hashmod' && !Number.isSafeInteger(value.modulus)) {
    return report('modulus', `modulus ${value.modulus} is too large, at most ${Number.MAX_SAFE_INTEGER} is supported`)
  }
  if (!['keep', 'drop', 'labelmap', 'labeldrop', 'labelkeep'].includes(action) && target === '') {
    return report('target_label', `relabel configuration for ${action} action requires 'target_label' value`)
  }
  switch (action) {
    case 'replace':
      if (!(isTemplate(target) ? isNameTemplate(target) : isName(target))) report('target_label', invalidTarget)
      return
    case 'hashmod':
      if (!isName(target)) report('target_label', invalidTarget)
      return
    case 'lowercase':
    case 'uppercase':
    case 'keepequal':
    case 'dropequal':
      if (!isName(target)) return report('target_label', invalidTarget)
      if (replacement !== defaultRelabelRule.replacement) return report('replacement', `'replacement' can not be set for ${action} action`)
      if (action.endsWith('equal') && (value.regex !== null || !otherDefaults)) {
        report(null, `${action} action requires only 'source_labels' and \`target_label\`, and no other fields`)
      }
      return
    case 'labelmap':
      if (!isNameTemplate(replacement)) report('replacement', `${quote(replacement)} is invalid 'replacement' for labelmap action`)
      return
    case 'labeldrop':
    case 'labelkeep':
      if (value.source_labels !== null || target !== '' || !otherDefaults) {
        report(null, `${action} action requires only 'regex', and no other fields`)
      }
  }
}
