// The command line of `promhive tool`: verbs, flags, what they print and their exit codes.
import { spawnSync } from 'node:child_process'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { temporaryDirectory } from '../support/processes.ts'
import { node, program, ServerHome } from '../support/server.ts'

const { path: directory, remove } = temporaryDirectory()
const home = new ServerHome({
  config: `
rule_files: [rules.yml]
scrape_configs: [{ job_name: j, static_configs: [{ targets: ['a:1'] }], relabel_configs: [{ target_label: x, replacement: y }] }]
`,
  files: {
    'rules.yml': 'groups: [{ name: g, rules: [{ record: r, expr: sum(a) }, { alert: A, expr: r > 1, labels: { n: "{{ $value }}" } }] }]\n',
    'bad.yml': 'global: { scrape_interval: fast }\n',
    'twice.yml': 'groups: [{ name: g, rules: [{ record: r, expr: a }, { record: r, expr: a }] }]\n',
    'test.yml': `
rule_files: [rules.yml]
tests:
  - name: sums
    interval: 1m
    input_series: [{ series: 'a{i="1"}', values: '1+1x5' }, { series: 'a{i="2"}', values: '2+2x5' }]
    promql_expr_test: [{ expr: r, eval_time: 2m, exp_samples: [{ labels: r, value: 9 }] }]
    alert_rule_test: [{ alertname: A, eval_time: 2m, exp_alerts: [{ exp_labels: { n: '9' } }] }]
`,
    'wrong.yml': `
rule_files: [rules.yml]
tests: [{ interval: 1m, input_series: [{ series: a, values: '1' }], promql_expr_test: [{ expr: r, eval_time: 0, exp_samples: [{ labels: r, value: 2 }] }] }]
`,
    'script.test': 'load 1m\n  a 1 2 3\n\neval instant at 2m a\n  a 3\n',
    'a.om': '# TYPE m gauge\nm{a="1"} 1 1700000000\nm{a="2"} 2 1700000000\nm{a="1"} 3 1700000060\n# EOF\n',
    'series.json': '{"__name__":"m","i":"1"}\n{"__name__":"m","i":"2"}\n{"__name__":"m","i":"1"}\n{"__name__":"m","i":"3"}\n',
    'web.yml': 'basic_auth_users: { a: not-a-hash }\n',
  },
})
afterAll(() => {
  remove()
  home.remove()
})
const file = (name: string): string => join(home.path, name)
const data = join(directory, 'data')

function run(argv: readonly string[], input = ''): { code: number | null; out: string; err: string } {
  const { status, stdout, stderr } = spawnSync(node, [program, 'tool', ...argv], { encoding: 'utf8', input })
  return { code: status, out: stdout, err: stderr }
}

type Row = readonly [argv: readonly string[], code: number, out: RegExp, err: RegExp, input?: string]
const nothing = /^$/
const rows: readonly Row[] = [
  [['check', 'config', file('prometheus.yml')], 0, /SUCCESS: 1 rule files found[^]*SUCCESS: .* is valid prometheus config file syntax[^]*SUCCESS: 2 rules found/, nothing],
  [['check', 'config', '--syntax-only', file('prometheus.yml')], 0, /SUCCESS/, nothing],
  [['check', 'config', file('bad.yml')], 1, /Checking/, /FAILED: .*bad\.yml:1:28: .*not a valid duration/],
  [['check', 'rules', file('rules.yml')], 0, /SUCCESS: 2 rules found/, nothing],
  [['check', 'rules'], 0, /Checking standard input\n {2}SUCCESS: 1 rules found/, nothing, 'groups: [{ name: g, rules: [{ record: r, expr: a }] }]'],
  [['check', 'rules', file('twice.yml')], 0, /Checking/, /1 duplicate rule\(s\) found/],
  [['check', 'rules', '--lint-fatal', file('twice.yml')], 3, /Checking/, /1 duplicate rule\(s\) found/],
  [['check', 'metrics'], 0, nothing, nothing, '# HELP a_total A.\n# TYPE a_total counter\na_total 1\n'],
  [['check', 'metrics'], 3, nothing, /no help text/, '# TYPE a_total counter\na_total 1\n'],
  [['check', 'metrics', '--lint=none', '--extended'], 0, /a_total +1 +100\.00%/, nothing, 'a_total 1\n'],
  [['check', 'web-config', file('web.yml')], 1, nothing, /FAILED/],
  [['check', 'service-discovery', file('prometheus.yml'), 'j'], 0, /"x": "y"/, nothing],
  [['check', 'ready', '--url', 'http://127.0.0.1:1'], 1, nothing, /FAILED: .*connection refused/],
  [['query', 'instant', 'http://127.0.0.1:1', 'up'], 1, nothing, /query error: .*connection refused/],
  [['query', 'series', 'http://127.0.0.1:1'], 1, nothing, /required option '--match <selector>' not specified/],
  [['query', '-o', 'xml', 'instant', 'http://127.0.0.1:1', 'up'], 1, nothing, /Allowed choices are promql, json/],
  [['test', 'rules', file('test.yml')], 0, /SUCCESS/, nothing],
  [['test', '--junit', join(directory, 'junit.xml'), 'rules', file('wrong.yml')], 1, /./s, /FAILED[^]*exp:[^]*2E\+00[^]*got:[^]*1E\+00/],
  [['test', 'promql', file('script.test')], 0, /1 passed, 0 failed/, nothing],
  [['tsdb', 'create-blocks-from', 'openmetrics', file('a.om'), data], 0, /BLOCK ULID/, nothing],
  [['tsdb', 'list', data], 0, /1700000000000 +1700000060001/, nothing],
  [['tsdb', 'list', '-r', data], 0, /2023-11-14 22:13:20 \+0000 UTC/, nothing],
  [['tsdb', 'dump', '--match', '{a="1"}', '--min-time', '1700000000001', data], 0, /^\{__name__="m", a="1"\} 3 1700000060000\n$/, nothing],
  [['tsdb', 'dump-openmetrics', data], 0, /^m\{a="1"\} 1 .*\n[^]*# EOF\n$/, nothing],
  [['tsdb', 'analyze', data], 0, /Total Series: 2/, nothing],
  [['tsdb', 'list', join(directory, 'nowhere')], 1, nothing, /nowhere.*no such file/],
  [['tsdb', 'create-blocks-from', 'rules', '--start', '0', '--end', '7200', '--url', 'http://127.0.0.1:1', '--output-dir', data, file('rules.yml')], 1, nothing, /connection refused/],
  [['tsdb', 'create-blocks-from', 'openmetrics', file('nowhere.om'), data], 1, nothing, /^cannot open .*nowhere\.om: no such file or directory\n$/],
  [['tsdb', 'create-blocks-from', 'rules', '--start', '0', '--end', '7200', '--url', 'http://127.0.0.1:1', '--output-dir', data, file('rules.yml')], 1, nothing, /^processing group .*rules\.yml;g\nprocessing rule 0 r\n/],
  [['tsdb', 'dump', '--match={}', data], 0, nothing, nothing],
  [['tsdb', 'bench', 'write', '--out', join(directory, 'bench'), '--metrics=2', '--scrapes=250', file('series.json')], 0, /^>> start stage=readData\n>> completed stage=readData duration=\S+s\n>> start stage=ingestScrapes\ningestion completed\n>> completed stage=ingestScrapes duration=\S+s\n > total samples: 500\n > samples\/sec: \S+\n>> start stage=stopStorage\n>> completed stage=stopStorage duration=\S+s\n$/, nothing],
  [['tsdb', 'bench', 'write', file('web.yml')], 1, /start stage=readData/, /line 1 is no series/],
  [['tsdb', 'bench', 'write'], 1, /start stage=readData/, /no such file.*20kseries\.json/],
  [['promql', 'format', 'sum(a)'], 1, nothing, /requires the --experimental flag/],
  [['--experimental', 'promql', 'format', 'sum (a)by( b )'], 0, /^sum by \(b\) \(a\)\n$/, nothing],
  [['promql', 'label-matchers', 'set', '-t', '=~', 'a/b{c="d"}', 'c', 'e.+', '--experimental'], 0, /^a\{c=~"e\.\+"\} \/ b\{c=~"e\.\+"\}\n$/, nothing],
  [['promql', 'label-matchers', 'delete', 'a{c="d",e="f"}', 'c', '--experimental'], 0, /^a\{e="f"\}\n$/, nothing],
  [['--enable-feature=promql-experimental-functions', '--experimental', 'promql', 'format', 'mad_over_time(a[5m])'], 0, /mad_over_time/, nothing],
  [['--experimental', 'promql', 'format', 'mad_over_time(a[5m])'], 1, nothing, /mad_over_time.*not enabled/],
  [['--enable-feature=nonsense', '--experimental', 'promql', 'format', 'a'], 0, /WARNING: Unknown feature passed to --enable-feature: nonsense/, nothing],
  [[], 1, nothing, /Usage: promhive tool/],
  [['--help'], 0, /Usage: promhive tool/, nothing],
  [['--version'], 0, /promhive tool, version \d/, nothing],
  [['chek'], 1, nothing, /unknown command 'chek'\n\(Did you mean check\?\)/],
  [['check', 'config', '--lint-fatl', file('prometheus.yml')], 1, nothing, /unknown option '--lint-fatl'\n\(Did you mean --lint-fatal\?\)/],
  [['check', 'config'], 1, nothing, /missing required argument 'files'/],
] // prettier-ignore

describe('promhive tool', () => {
  for (const [argv, code, out, err, input] of rows)
    it(argv.join(' ').replaceAll(/\S*promhive-test-\w+\//g, ''), () => {
      const answer = run(argv, input)
      expect(answer).toEqual({ code, out: expect.stringMatching(out), err: expect.stringMatching(err) })
      expect(answer.err).not.toMatch(/BUG|\n\s+at /)
    })
  it('writes JUnit XML', () => {
    expect(readFileSync(join(directory, 'junit.xml'), 'utf8')).toMatch(/<testsuite name=".*wrong\.yml" tests="1" failures="1"/)
    expect(readdirSync(data).length).toBe(1)
  })
})

it('writes all of a long output into a pipe whose reader is slow', { timeout: 30_000 }, () => {
  const lines = Array.from({ length: 4000 }, (_, i) => `long{a="${'x'.repeat(20)}"} ${i} ${1_700_000_000 + i}`)
  home.write('long.om', `# TYPE long gauge\n${lines.join('\n')}\n# EOF\n`)
  const blocks = join(directory, 'long')
  const tool = `"${node}" "${program}" tool`
  const script = `${tool} tsdb create-blocks-from openmetrics -q "${join(home.path, 'long.om')}" "${blocks}" && ${tool} tsdb dump "${blocks}" | (sleep 0.5; cat)`
  const { stdout } = spawnSync('sh', ['-c', script], { encoding: 'utf8' })
  expect(stdout.trimEnd().split('\n').length).toBe(4000)
  // a reader that has seen enough ends it
  const head = spawnSync('sh', ['-c', `${tool} tsdb dump "${blocks}" | head -1`], { encoding: 'utf8' })
  expect(head.stdout.trimEnd().split('\n').length).toBe(1)
  expect(head.stderr).toBe('')
})
