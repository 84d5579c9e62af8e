import fc from 'fast-check'
import { expect, it } from 'vitest'
import { alertTemplateData, labelsMap, parseAlertTemplate } from '../../src/template/alert-template.ts'
import { defaultExpandLimits, expand } from '../../src/template/expand.ts'

// Any text parses or is refused, and expands within its limits; nothing throws.

const limits = { ...defaultExpandLimits, stepsMax: 20_000, outputMax: 100_000 }
const words = [
  '{{', '}}', '{{-', ' -}}', '{{/*', '*/}}', ' ', '\n', 'if ', 'range ', 'with ', 'else ', 'end', 'define "x"', 'template "x"', 'block "y"', 'break', 'continue',
  '$', '$x', ' := ', ' = ', ',', '|', '(', ')', '.', '.Labels', '.Value', '$labels', '$value', 'nil', 'true', '1', '1.5', '0x1F', "'a'", '"s"', '`r`', '"\\x',
  'len ', 'index ', 'slice ', 'print ', 'printf "%v %d %s" ', 'html ', 'js ', 'eq ', 'lt ', 'and ', 'or ', 'not ', 'query "q"', 'first ', 'label "a" ', 'value ',
  'sortByLabel "a" ', 'args ', 'reReplaceAll "a" "b" ', 'match "(" ', 'title ', 'humanize ', 'humanizeDuration ', 'toTime ', 'toDuration ', 'humanizeTimestamp ',
  'stripPort ', 'stripDomain ', 'parseDuration "1h"', 'urlQueryEscape ', 'text', 'é', '\u{1F600}', '\ud800', '@', '\\',
] // prettier-ignore
const soup = fc.array(fc.constantFrom(...words), { maxLength: 30 }).map((parts) => parts.join(''))
const action = fc.array(fc.constantFrom(...words.slice(5)), { maxLength: 8 }).map((parts) => `{{ ${parts.join(' ')} }}`)
const text = fc.oneof(
  soup,
  fc.array(action, { maxLength: 6 }).map((parts) => parts.join('')),
  fc.string({ unit: 'binary', maxLength: 60 }),
)

it('never throws', async () => {
  let expanded = 0
  await fc.assert(
    fc.asyncProperty(text, async (template) => {
      const parsed = parseAlertTemplate('F', template)
      if (parsed.kind === 'failed') {
        const [problem] = parsed.problems
        expect(problem.message).not.toBe('')
        expect(problem.offset).toBeGreaterThanOrEqual(0)
        return
      }
      const result = await expand(parsed.template, {
        env: { nowMs: 1, externalUrl: 'http://x/y', pathPrefix: '/y' },
        data: alertTemplateData(['a', 'b'], labelsMap([]), 'http://x', NaN),
        answer: () => Promise.resolve([{ labels: new Map([['a', 'b']]), value: 1 }]),
        monotonicMs: () => 0,
        limits,
      })
      if (result.kind === 'ok') {
        expanded++
        expect(result.text.length).toBeLessThanOrEqual(limits.outputMax)
      }
    }),
    { numRuns: 3000 },
  )
  expect(expanded).toBeGreaterThan(100)
})
