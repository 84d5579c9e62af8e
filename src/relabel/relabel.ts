// Relabelling: a list of rules rewrites a label set or drops it (FEATURES 1.28–1.31). Source of the semantics: prometheus model/relabel.
//
//   labels ──rule──▶ labels ──rule──▶ … ──▶ labels | null (dropped)
//
// Runs once per new series on the scrape path: rules are compiled once, texts without special signs are compared instead of matched, and
// answers about texts are remembered.
import { md5Modulo } from '../base/md5.ts'
import { isLegacyLabelName, isUtf8Name } from '../model/labels.ts'
import type { Labels } from '../model/labels.ts'
import { compileRegex } from '../model/regex.ts'
import type { Regex } from '../model/regex.ts'
import { defaultRelabelRule } from './rule.ts'
import type { RelabelRule } from './rule.ts'
import { toLowerText, toUpperText } from './text-case.ts'
import { WorkingLabels } from './working-labels.ts'

export interface Relabeling {
  /** The rewritten labels (the same array where nothing changed), or null where a rule drops them. */
  apply(labels: Labels): Labels | null
  /** What each rule made of the output of the one before it; after a drop nothing follows. */
  steps(labels: Labels): RelabelStep[]
  /** There are no rules: labels stay as they are. */
  readonly empty: boolean
}
export type RelabelStep = Readonly<{ rule: RelabelRule; labels: Labels; keep: boolean }>

/** Changes the working labels; false drops them. */
type Step = (working: WorkingLabels) => boolean

/** Throws PromhiveError BAD_REQUEST where a regular expression does not compile; rules from the configuration always do. */
export function compileRelabel(rules: readonly RelabelRule[]): Relabeling {
  const steps = rules.map(compileRule)
  const working = new WorkingLabels()
  return {
    empty: steps.length === 0,
    apply(labels) {
      if (steps.length === 0) return labels
      working.reset(labels)
      for (let i = 0; i < steps.length; i++) if (!steps[i]!(working)) return null
      return working.result()
    },
    steps(labels) {
      const out: RelabelStep[] = []
      working.reset(labels)
      for (let i = 0; i < steps.length; i++) {
        const keep = steps[i]!(working)
        out.push({ rule: rules[i]!, labels: keep ? working.result() : [], keep })
        if (!keep) break
      }
      return out
    },
  }
}

/** Whether `target_label` or `replacement` refers to groups of the regular expression. */
export function isTemplate(text: string): boolean {
  return text.includes('$')
}

function compileRule(rule: RelabelRule): Step {
  const source = sourceOf(rule)
  const { targetLabel } = rule
  switch (rule.action) {
    case 'keep': {
      const test = compileTest(rule.regex)
      return (working) => test(source(working))
    }
    case 'drop': {
      const test = compileTest(rule.regex)
      return (working) => !test(source(working))
    }
    case 'keepequal':
      return (working) => working.get(targetLabel) === source(working)
    case 'dropequal':
      return (working) => working.get(targetLabel) !== source(working)
    case 'replace':
      return compileReplace(rule, source)
    case 'lowercase':
      return (working) => {
        working.set(targetLabel, toLowerText(source(working)))
        return true
      }
    case 'uppercase':
      return (working) => {
        working.set(targetLabel, toUpperText(source(working)))
        return true
      }
    case 'hashmod':
      return hashmod(rule, source)
    case 'labelmap': {
      const rename = compileRename(rule)
      return (working) => {
        const pairs = working.pairs()
        for (let i = 0; i < pairs.length; i += 2) {
          const name = rename(pairs[i]!)
          if (name !== null) working.set(name, pairs[i + 1]!)
        }
        return true
      }
    }
    case 'labeldrop':
    case 'labelkeep': {
      const test = compileTest(rule.regex)
      const dropWhere = rule.action === 'labeldrop'
      return (working) => {
        const pairs = working.pairs()
        for (let i = 0; i < pairs.length; i += 2) if (test(pairs[i]!) === dropWhere) working.delete(pairs[i]!)
        return true
      }
    }
  }
}

function hashmod(rule: RelabelRule, source: (working: WorkingLabels) => string): Step {
  const hash = remember((text) => String(md5Modulo(text, rule.modulus)))
  return (working) => {
    working.set(rule.targetLabel, hash(source(working)))
    return true
  }
}

function compileReplace(rule: RelabelRule, source: (working: WorkingLabels) => string): Step {
  const { targetLabel, replacement } = rule
  const isValidName = rule.nameValidation === 'legacy' ? isLegacyLabelName : isUtf8Name
  const fixedTarget = !isTemplate(targetLabel)
  if (fixedTarget && !isValidName(targetLabel)) return () => true
  if (rule.regex === defaultRelabelRule.regex && fixedTarget) {
    // (.*) matches any text: whole and group 1 are the text itself
    if (!isTemplate(replacement)) {
      return (working) => {
        working.set(targetLabel, replacement)
        return true
      }
    }
    if (replacement === '$1' || replacement === '${1}') {
      return (working) => {
        working.set(targetLabel, source(working))
        return true
      }
    }
  }
  const regex = compileRegex(rule.regex, { anchored: true })
  if (fixedTarget && !isTemplate(replacement)) {
    const test = compileTest(rule.regex)
    return (working) => {
      if (test(source(working))) working.set(targetLabel, replacement)
      return true
    }
  }
  const rewrite = remember((text) => {
    const match = regex.match(text)
    if (match === null) return null
    const target = fixedTarget ? targetLabel : regex.expand(targetLabel, match)
    return fixedTarget || isValidName(target) ? { target, value: regex.expand(replacement, match) } : null
  })
  return (working) => {
    const rewritten = rewrite(source(working))
    if (rewritten !== null) working.set(rewritten.target, rewritten.value)
    return true
  }
}

/** The values of the source labels, joined. */
function sourceOf(rule: RelabelRule): (working: WorkingLabels) => string {
  const { sourceLabels, separator } = rule
  if (sourceLabels.length === 0) return () => ''
  if (sourceLabels.length === 1) {
    const only = sourceLabels[0]!
    return (working) => working.get(only)
  }
  return (working) => {
    let text = working.get(sourceLabels[0]!)
    for (let i = 1; i < sourceLabels.length; i++) text += separator + working.get(sourceLabels[i]!)
    return text
  }
}

/** Whether a text matches as a whole. Plain words joined by | are looked up, a plain word with .* or .+ behind it is compared. */
function compileTest(source: string): (text: string) => boolean {
  if (/^[\w:/ -]+(\|[\w:/ -]+)*$/.test(source)) {
    const words = source.split('|')
    if (words.length === 1) return (text) => text === source
    const set = new Set(words)
    return (text) => set.has(text)
  }
  const prefixed = /^([\w:/ -]*)\.([*+])$/.exec(source)
  if (prefixed !== null) {
    const prefix = prefixed[1]!
    const least = prefixed[2] === '+' ? prefix.length + 1 : 0
    return (text) => text.length >= least && text.startsWith(prefix)
  }
  const regex: Regex = compileRegex(source, { anchored: true })
  return remember((text) => regex.test(text))
}

function compileRename(rule: RelabelRule): (name: string) => string | null {
  const regex = compileRegex(rule.regex, { anchored: true })
  return remember((name) => (regex.test(name) ? regex.replaceAll(name, rule.replacement) : null))
}

const rememberedMax = 4096
/** Longer texts are not worth their memory. */
const rememberedLengthMax = 1024

/** Answers about texts, which repeat: the series of a target share most of their labels. Never changes an answer; starts anew when full. */
function remember<T>(answer: (text: string) => T): (text: string) => T {
  const known = new Map<string, T>()
  return (text) => {
    const before = known.get(text)
    if (before !== undefined) return before
    const made = answer(text)
    if (text.length > rememberedLengthMax) return made
    if (known.size >= rememberedMax) known.clear()
    known.set(text, made)
    return made
  }
}
