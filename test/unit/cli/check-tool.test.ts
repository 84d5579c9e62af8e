import { expect, it } from 'vitest'
import { checkConfig } from '../../../src/cli/tool/check-config.ts'
import type { CheckConfigOptions } from '../../../src/cli/tool/check-config.ts'
import type { CheckIo } from '../../../src/cli/tool/check-io.ts'
import { checkMetrics } from '../../../src/cli/tool/check-metrics.ts'
import { checkRules } from '../../../src/cli/tool/check-rules.ts'
import { checkWebConfig } from '../../../src/cli/tool/check-web-config.ts'
import { stableFeatures } from '../../../src/promql/parse.ts'
import { memoryFiles } from '../../support/config-files.ts'

type Told = { io: CheckIo; out: string[]; err: string[] }
function told(files: Record<string, string>, stdin = ''): Told {
  const out: string[] = []
  const err: string[] = []
  const { readFile, glob } = memoryFiles(files)
  const io: CheckIo = {
    print: (line) => void out.push(line),
    printError: (line) => void err.push(line),
    readFile,
    glob,
    exists: (path) => Object.hasOwn(files, path),
    readStdin: () => Promise.resolve(new TextEncoder().encode(stdin)),
  }
  return { io, out, err }
}
const options: CheckConfigOptions = {
  syntaxOnly: false,
  lint: 'duplicate-rules',
  lintFatal: false,
  ignoreUnknownFields: false,
  agent: false,
  lookbackDeltaMs: 300_000,
  features: stableFeatures,
}
const twice = 'groups: [{name: g, rules: [{record: a, expr: "1"}, {record: a, expr: "2"}]}]'

it('check config: a good one', () => {
  const { io, out, err } = told({ '/p.yml': 'rule_files: ["*.rules"]', '/a.rules': 'groups: [{name: g, rules: [{record: a, expr: "1"}]}]' })
  expect(checkConfig(['/p.yml'], options, io)).toBe(0)
  expect(out).toEqual([
    'Checking /p.yml',
    '  SUCCESS: 1 rule files found',
    ' SUCCESS: /p.yml is valid prometheus config file syntax',
    '',
    'Checking /a.rules',
    '  SUCCESS: 1 rules found',
    '',
  ])
  expect(err).toEqual([])
})

it('check config: a bad one, all problems', () => {
  const { io, err } = told({ '/p.yml': 'globl: 1\nrule_fils: []\n' })
  expect(checkConfig(['/p.yml'], options, io)).toBe(1)
  expect(err).toEqual([
    '  FAILED: /p.yml:1:1: globl: field globl not found in type config.plain, did you mean global?',
    '          /p.yml:2:1: rule_fils: field rule_fils not found in type config.plain, did you mean rule_files?',
  ])
})

it('check config: what it names must be there, unless only the syntax counts', () => {
  const text =
    'rule_files: [none.yml]\nscrape_configs: [{job_name: a, authorization: {credentials_file: tok}, file_sd_configs: [{files: [t.json]}]}]'
  const { io, out, err } = told({ '/p.yml': text, '/t.json': '[{"targets": 5}]' })
  expect(checkConfig(['/p.yml'], options, io)).toBe(1)
  expect(err).toHaveLength(3)
  expect(err[0]).toContain('"/none.yml" does not point to an existing file')
  expect(err[1]).toContain('authorization credentials or bearer token file "/tok"')
  expect(err[2]).toContain('checking SD file "/t.json"')
  expect(checkConfig(['/p.yml'], { ...options, syntaxOnly: true }, io)).toBe(0)
  expect(out.at(-2)).toContain('SUCCESS')
})

it('check config: lints', () => {
  const files = { '/p.yml': 'global: {scrape_interval: 5m}\nrule_files: [a.rules]\nscrape_configs: [{job_name: slow}]', '/a.rules': twice }
  const { io, err } = told(files)
  expect(checkConfig(['/p.yml'], { ...options, lint: 'too-long-scrape-interval', lintFatal: true }, io)).toBe(3)
  expect(err).toEqual(['  FAILED: too long scrape interval found, data point will be marked as stale - job: slow, interval: 5m'])
  expect(checkConfig(['/p.yml'], options, told(files).io)).toBe(0)
  expect(checkConfig(['/p.yml'], { ...options, lintFatal: true }, told(files).io)).toBe(3)
  expect(checkConfig(['/p.yml'], { ...options, lint: 'none', lintFatal: true }, told(files).io)).toBe(0)
})

it('check rules: files and standard input', async () => {
  const { io, out, err } = told({ '/a': twice, '/b': 'groups: [{name: g, rules: [{record: a, expr: "("}]}]' }, 'groups: []')
  expect(await checkRules(['/a'], options, io)).toBe(0)
  expect(err).toEqual([
    '  FAILED:',
    'lint error 1 duplicate rule(s) found.',
    'Metric: a',
    'Label(s):',
    'Might cause inconsistency while recording expressions',
  ])
  expect(await checkRules(['/a'], { ...options, lintFatal: true }, io)).toBe(3)
  expect(await checkRules(['/a', '/b'], options, io)).toBe(1)
  out.length = 0
  expect(await checkRules([], options, io)).toBe(0)
  expect(out).toEqual(['Checking standard input', '  SUCCESS: 0 rules found', ''])
})

it('check web-config', () => {
  const { io, err } = told({ '/good': '', '/bad': 'tls_server_config: {cert: x, key: y}' })
  expect(checkWebConfig(['/good'], io)).toBe(0)
  expect(checkWebConfig(['/bad', '/none'], io)).toBe(1)
  expect(err[0]).toBe('/good SUCCESS')
  expect(err[1]).toMatch(/^\/bad FAILED: \/bad:1:21: tls_server_config\.cert: failed to load X509KeyPair: /)
  expect(err[2]).toBe('/none FAILED: /none: open /none: no such file or directory')
})

const page = `# HELP a_seconds Time.
# TYPE a_seconds histogram
a_seconds_bucket{le="1"} 1
a_seconds_bucket{le="+Inf"} 1
a_seconds_sum 1
a_seconds_count 1
# HELP fooBar Foo.
# TYPE fooBar counter
fooBar{x="1"} 1
fooBar{x="1"} 2
b_milliseconds_ms 1
`
it('check metrics: lint', async () => {
  const { io, err } = told({}, page)
  expect(await checkMetrics({ extended: false, lint: 'all', format: 'auto' }, io)).toBe(3)
  expect(err).toEqual([
    'b_milliseconds_ms metric names should not contain abbreviated units',
    'b_milliseconds_ms no help text',
    'b_milliseconds_ms use base unit "seconds" instead of "milliseconds"',
    'fooBar counter metrics should have "_total" suffix',
    "fooBar metric names should be written in 'snake_case' not 'camelCase'",
    'fooBar metric not unique',
  ])
})

it('check metrics: cardinality, broken texts, OpenMetrics', async () => {
  const { io, out } = told({}, page)
  expect(await checkMetrics({ extended: true, lint: 'none', format: 'auto' }, io)).toBe(0)
  expect(out.map((line) => line.trimEnd())).toEqual([
    'Metric               Cardinality    Percentage',
    'a_seconds            4              57.14%',
    'fooBar               2              28.57%',
    'b_milliseconds_ms    1              14.29%',
    'Total                7              100%',
  ])
  const rows: [string, number][] = [
    ['a{ 1\n', 1],
    ['a 1', 1],
    ['# TYPE a counter\n# HELP a h\na_total 1\n# EOF\n', 0],
    ['# TYPE a counter\n# HELP a h\na_total -1\n# EOF\n', 1],
    ['# HELP a h\na 1\n# EOF\na 2\n', 1],
  ]
  for (const [text, code] of rows) {
    expect(await checkMetrics({ extended: false, lint: 'all', format: 'auto' }, told({}, text).io), text).toBe(code)
  }
  expect(await checkMetrics({ extended: false, lint: 'none', format: 'auto' }, told({}).io)).toBe(1)
})
