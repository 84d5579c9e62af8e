import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { alertTemplateData, labelsMap, parseAlertTemplate } from '../../../src/template/alert-template.ts'
import { defaultExpandLimits, expand, expandNow } from '../../../src/template/expand.ts'
import type { Expansion } from '../../../src/template/expand.ts'

// The expected texts were written by Prometheus' own template package (Go text/template) for these templates and this data.

type Row = { template: string; text?: string; error?: string }
const rows = JSON.parse(readFileSync(new URL('../../golden/template/alert-templates.json', import.meta.url), 'utf8')) as Row[]

const data = alertTemplateData(
  ['html', `<b>"x" & 'y'</b>`, 'instance', 'host:9100', 'job', 'node'],
  labelsMap(['dc', 'eu']),
  'http://ext',
  1234567,
)
const env = { nowMs: 1446724800123, externalUrl: 'http://testhost:9090/path/prefix', pathPrefix: '/path/prefix' }
const answers = [
  { labels: new Map(Object.entries({ __name__: 'metric', __value__: 'B', instance: 'b' })), value: 21 },
  { labels: new Map(Object.entries({ __name__: 'metric', __value__: 'A', instance: 'a' })), value: 11 },
]

async function run(text: string, limits = defaultExpandLimits): Promise<Expansion> {
  const parsed = parseAlertTemplate('X', text)
  if (parsed.kind === 'failed') return parsed
  return expand(parsed.template, { env, data, answer: () => Promise.resolve(answers), monotonicMs: () => 0, limits })
}

it('has rows', () => expect(rows.length).toBeGreaterThan(150))

it.each(rows)('$template', async ({ template, text, error }) => {
  const result = await run(template)
  expect(result.kind === 'ok' ? { text: result.text } : { error: result.message }).toEqual(text === undefined ? { error } : { text })
})

it('expands without waiting where nothing is asked', () => {
  const parsed = parseAlertTemplate('X', '{{ $labels.job }} is {{ $value }}')
  expect(parsed.kind).toBe('ok')
  if (parsed.kind === 'ok') {
    expect(expandNow(parsed.template, { env, data, monotonicMs: () => 0 })).toEqual({ kind: 'ok', text: 'node is 1.234567e+06' })
  }
})

it('asks each question once and gives its failure to the template', async () => {
  const parsed = parseAlertTemplate('X', '{{ range 3 }}{{ query "a" | len }}{{ query "b" | len }}{{ end }}')
  const asked: string[] = []
  if (parsed.kind === 'failed') throw new Error(parsed.message)
  const answer = (question: string): Promise<unknown> => {
    asked.push(question)
    return question === 'a' ? Promise.resolve(answers) : Promise.reject(new Error('storage is gone'))
  }
  const result = await expand(parsed.template, { env, data, answer, monotonicMs: () => 0 })
  expect(asked).toEqual(['a', 'b'])
  expect(result).toMatchObject({ kind: 'failed', message: expect.stringContaining('error calling query: storage is gone') })
})

it.each([
  ['{{ range 1000000000 }}x{{ end }}', 'steps'],
  ['{{ range 100000 }}{{ range 100000 }}{{ end }}{{ end }}', 'steps'],
  ['{{ $x := "aaaaaaaaaaaaaaaa" }}{{ range 40 }}{{ $x = print $x $x }}{{ end }}', 'over the limit'],
  ['{{ $x := args 1 }}{{ range 40 }}{{ $x = args $x $x }}{{ end }}{{ $x }}', 'too large to print'],
  ['{{ range 20 }}{{ printf "%1000000s" "x" }}{{ end }}', 'output exceeds'],
  ['{{ define "r" }}{{ template "r" }}{{ end }}{{ template "r" }}', 'exceeded maximum template depth'],
  [`{{ ${'('.repeat(600)}1${')'.repeat(600)} }}`, 'nested deeper than'],
  ['{{ reReplaceAll "" (printf "%10000s" "") (printf "%10000s" "") }}', 'too large'],
])('is bounded: %s', async (template, message) => {
  const result = await run(template)
  expect(result).toMatchObject({ kind: 'failed', message: expect.stringContaining(message) })
})

it('ends when time is up', async () => {
  let now = 0
  const parsed = parseAlertTemplate('X', '{{ range 1000000 }}x{{ end }}')
  if (parsed.kind === 'failed') throw new Error(parsed.message)
  const result = await expand(parsed.template, { env, data, answer: () => Promise.resolve([]), monotonicMs: () => (now += 100) })
  expect(result).toMatchObject({ kind: 'failed', message: expect.stringContaining('took too long') })
})

it('says where a text is broken', () => {
  const parsed = parseAlertTemplate('X', 'a\nb {{ foo }}')
  expect(parsed).toMatchObject({ kind: 'failed', problems: [{ line: 2, column: 6, message: 'function "foo" not defined' }] })
})
