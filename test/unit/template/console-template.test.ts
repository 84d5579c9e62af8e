import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { alertTemplateData, labelsMap } from '../../../src/template/alert-template.ts'
import { consoleData, parseConsole, parseHtml } from '../../../src/template/console-template.ts'
import { expand } from '../../../src/template/expand.ts'
import type { Expansion } from '../../../src/template/expand.ts'

// The expected pages were written by Prometheus' own template package (Go html/template) for these templates and this data.

type Row = { template: string; text: string }
const rows = JSON.parse(readFileSync(new URL('../../golden/template/html-templates.json', import.meta.url), 'utf8')) as Row[]
const env = { nowMs: 1446724800123, externalUrl: 'http://testhost:9090/path/prefix', pathPrefix: '/path/prefix' }
const answers = [
  { labels: new Map(Object.entries({ __name__: 'metric', __value__: 'B', instance: 'b' })), value: 21 },
  { labels: new Map(Object.entries({ __name__: 'metric', __value__: 'A', instance: 'a' })), value: 11 },
]
const data = alertTemplateData(
  ['html', `<b>"x" & 'y'</b>`, 'instance', 'host:9100', 'job', 'node'],
  labelsMap(['dc', 'eu']),
  'http://ext',
  1234567,
)

async function run(parsed: ReturnType<typeof parseHtml>, given: unknown = data): Promise<Expansion> {
  if (parsed.kind === 'failed') return parsed
  return expand(parsed.template, { env, data: given, answer: () => Promise.resolve(answers), monotonicMs: () => 0 })
}

it('has rows', () => expect(rows.length).toBeGreaterThan(25))

it.each(rows)('$template', async ({ template, text }) => {
  expect(await run(parseHtml('__alert_X', template, []))).toEqual({ kind: 'ok', text })
})

it.each([
  ['<a href="{{ if .Value }}/a?{{ else }}/b{{ end }}x{{ .Value }}">', 'html/template:p:1:52: {{.Value}} appears in an ambiguous context within a URL'],
  ['<script>{{ if .Value }}"{{ end }}</script>', 'branches end in different contexts'],
  ['{{ .Value | html | print }}', 'html/template:p:1:3: predefined escaper "html" disallowed in template'],
  ['<a href="{{ .Value }}', 'ends in a non-text context'],
  ['<a b"c="x">', 'in attribute name'],
  ['{{ template "nope" }}', 'html/template:p:1:12: no such template "nope"'],
  ['{{ if }}', 'template: p:1: missing value for if'],
])('refuses %s', (template, message) => {
  expect(parseHtml('p', template, [])).toMatchObject({ kind: 'failed', message: expect.stringContaining(message) })
}) // prettier-ignore

it('runs a console with its libraries', async () => {
  const libraries = [
    { name: 'menu.lib', text: '{{ define "menu" }}<ul>{{ range . }}<li>{{ . }}</li>{{ end }}</ul>{{ end }}' },
    { name: 'prom.lib', text: '{{ define "head" }}<title>{{ .Path }}</title>{{ end }}{{ define "bad" }}<a href="{{ end }}' },
  ]
  const page = '{{ template "head" . }}{{ template "menu" .RawParams.x }}{{ $params.x }}|{{ .RawParams.Get "x" }}|{{ $externalLabels.dc }}|{{ $path }}'
  const given = consoleData(new Map([['x', ['<1>', '2']]]), 'node.html', labelsMap(['dc', 'eu']))
  expect(await run(parseConsole('__console_/node.html', page, libraries), given)).toEqual({
    kind: 'ok',
    text: '<title>node.html</title><ul><li>&lt;1&gt;</li><li>2</li></ul>&lt;1&gt;|&lt;1&gt;|eu|node.html',
  })
  expect(await run(parseConsole('c', '{{ tmpl "bad" . }}', libraries), given)).toMatchObject({ message: expect.stringContaining('non-text') })
  expect(await run(parseConsole('c', '{{ tmpl "none" . }}', libraries), given)).toMatchObject({ message: expect.stringContaining('"none" is undefined') })
}) // prettier-ignore

it('never throws, and values never open a tag', async () => {
  const parts = ['<a ', 'href=', '"', "'", '{{ .Labels.html }}', '>', '</a>', '<script>', '</script>', '<style>', '</style>', '<!--', '-->', '/*', '*/', '//', '\n', '`', '${', '}', '{', '{{ if .Value }}', '{{ else }}', '{{ end }}', 'x', '=', ' ', '/', '\\', 'url(', ')', '<title>', '</title>', 'onclick=', 'style='] // prettier-ignore
  let pages = 0
  await fc.assert(
    fc.asyncProperty(fc.array(fc.constantFrom(...parts), { maxLength: 14 }), async (chosen) => {
      const template = chosen.join('')
      const result = await run(parseHtml('p', template, []))
      if (result.kind === 'failed') return
      pages++
      expect(result.text).not.toContain('<b>')
    }),
    { numRuns: 3000 },
  )
  expect(pages).toBeGreaterThan(100)
})
