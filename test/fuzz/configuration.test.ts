// Whatever text comes, the parsers answer with a value or with problems that have a place; they never throw.
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { parseFlags } from '../../src/config/flag-parser.ts'
import { parseConfig } from '../../src/config/prometheus-config.ts'
import { parseRuleFile } from '../../src/config/rule-files.ts'
import { serveFlagTable } from '../../src/config/serve-flags.ts'
import { parseWebConfig } from '../../src/config/web-config.ts'
import { memoryFiles } from '../support/config-files.ts'

const base = `global:
  scrape_interval: 15s
  external_labels: {a: "\${B}"}
rule_files: [first.rules, my/*.rules]
scrape_configs:
- job_name: a
  params: {x: [y]}
  basic_auth: {username: u, password: p}
  relabel_configs:
  - source_labels: [a, b]
    regex: (.*)x
    target_label: c
    action: replace
  static_configs: &s
  - targets: [h:1]
    labels: {l: v}
- job_name: b
  <<: {scheme: https}
  kubernetes_sd_configs: [{role: pod, selectors: [{role: pod, label: a=b, field: c=d}]}]
  http_sd_configs: [{url: "http://x"}]
alerting: {alertmanagers: [{static_configs: *s}]}
remote_write: [{url: "http://x", queue_config: {max_shards: 3}}]
storage: {tsdb: {retention: {time: 1d}}}
`
const values = [
  '',
  '~',
  '[]',
  '{}',
  '[~]',
  '{~: ~}',
  '-1',
  '1e999',
  '.nan',
  '!!binary x',
  '!!int "x"',
  '*s',
  '&a [*a]',
  '"\\ud800"',
  '__proto__: {}',
  '|',
  'y',
  '1h',
  '99999y',
]

/** The text with a few lines changed, or anything. */
const mutant = fc.oneof(
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 200 }) },
  {
    weight: 5,
    arbitrary: fc
      .array(fc.tuple(fc.nat(40), fc.nat(4), fc.constantFrom(...values), fc.nat(30)), { minLength: 1, maxLength: 4 })
      .map((edits) => {
        const lines = base.split('\n')
        for (const [at, how, value, cut] of edits) {
          const i = at % lines.length
          const line = lines[i]!
          if (how === 0) lines.splice(i, 1)
          else if (how === 1) lines.splice(i, 0, line)
          else if (how === 2) lines[i] = line.replace(/: .*$/, `: ${value}`)
          else if (how === 3) lines[i] = `${line.slice(0, cut)}${value}`
          else lines[i] = line.slice(0, cut) + line.slice(cut + 1)
        }
        return lines.join('\n')
      }),
  },
)

it('configurations', () => {
  fc.assert(
    fc.property(mutant, (text) => {
      const { config, problems } = parseConfig(text, 'p.yml', memoryFiles({}))
      expect(config === null).toBe(problems.length > 0)
      for (const { line, column } of problems) expect(line > 0 && column > 0).toBe(true)
      // upstream takes a null source label as '' and prints it so, but does not read that back
      if (config !== null && !/source_labels:\n(\s+- \S+\n)*\s+- ""/.test(config.yaml))
        expect(parseConfig(config.yaml, 'p.yml', memoryFiles({})).problems).toEqual([])
    }),
    { numRuns: 600 },
  )
})

it('rule files and web configurations', () => {
  const checks = { checkExpr: () => null, checkTemplate: () => null }
  fc.assert(
    fc.property(mutant, (text) => {
      parseRuleFile(text.replace('scrape_configs', 'groups').replaceAll('job_name', 'name'), 'r', checks)
      parseWebConfig(text.replace('scrape_configs', 'tls_server_config'), 'w')
    }),
    { numRuns: 200 },
  )
})

it('command lines', () => {
  const word = fc.oneof(
    fc.string(),
    fc.tuple(fc.constantFrom(...serveFlagTable.map(({ name }) => name)), fc.string()).map(([n, v]) => `--${n}=${v}`),
  )
  fc.assert(
    fc.property(fc.array(word, { maxLength: 5 }), (argv) => {
      expect(['flags', 'help', 'version', 'problem']).toContain(parseFlags(serveFlagTable, argv).kind)
    }),
    { numRuns: 500 },
  )
})
