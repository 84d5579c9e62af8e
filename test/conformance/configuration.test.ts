// Upstream's configurations and rule files: what must be taken is taken, what must be refused is refused with place and reason.
import { existsSync, globSync, readFileSync, readdirSync } from 'node:fs'
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { ruleChecks } from '../../src/cli/tool/rule-checks.ts'
import { loadConfig } from '../../src/config/prometheus-config.ts'
import type { LoadOptions } from '../../src/config/prometheus-config.ts'
import { parseRuleFile } from '../../src/config/rule-files.ts'
import { stableFeatures } from '../../src/promql/parse.ts'

const folder = fileURLToPath(new URL('../../../shared/conformance/', import.meta.url))
const present = existsSync(folder)
if (!present) console.log(`skipped: no conformance data at ${folder}`)

const files: LoadOptions = {
  readFile: (path) => readFileSync(path, 'utf8'),
  glob: (pattern) => globSync(pattern).sort(),
  env: () => undefined,
}
const inFolder = (name: string, pattern: RegExp): string[] =>
  present
    ? readdirSync(folder + name)
        .filter((file) => pattern.test(file))
        .map((file) => `${folder}${name}/${file}`)
    : []

/** These are bad by the files they include, which may not be there. */
const included = [
  'scrape_config_files_double_import.bad.yml',
  'scrape_config_files_global.bad.yml',
  'scrape_config_files_global_duplicate.bad.yml',
]
const includesPresent = present && existsSync(`${folder}prometheus-config/scrape_config_files.good.yml`)

describe.skipIf(!present)('prometheus.yml', () => {
  it.each(inFolder('prometheus-config', /\.good\.yml$/).map((file) => [basename(file), file]))(
    '%s loads and reads what it prints',
    (_, file) => {
      const { config, problems } = loadConfig(file, files)
      expect(problems).toEqual([])
      const again = loadConfig(file, { ...files, readFile: (path) => (path === file ? config!.yaml : files.readFile(path)) })
      if (!config!.yaml.includes('<secret>')) expect(again.config!.yaml).toBe(config!.yaml)
    },
  )
  it.each(inFolder('prometheus-config', /\.bad\.yml$/).map((file) => [basename(file), file]))('%s is refused', (name, file) => {
    if (included.includes(name) && !includesPresent) return
    const { config, problems } = loadConfig(file, files)
    expect(config).toBeNull()
    for (const problem of problems) {
      expect(problem.line).toBeGreaterThan(0)
      expect(problem.message).not.toBe('')
    }
  })
  it('agents', () => {
    for (const file of inFolder('prometheus-config', /^agent_mode/)) {
      const refused = /with_remote_reads|with_rule_files|with_alert/.test(file)
      expect(loadConfig(file, { ...files, agent: true }).config === null, file).toBe(refused)
    }
  })
})

describe.skipIf(!present)('rule files', () => {
  const checks = ruleChecks(stableFeatures)
  it.each([...inFolder('rulefmt', /yaml$/), ...inFolder('rules', /yaml$/)].map((file) => [basename(file), file]))('%s', (name, file) => {
    const legacy = name.startsWith('legacy_')
    const { problems } = parseRuleFile(readFileSync(file, 'utf8'), file, { ...checks, nameValidation: legacy ? 'legacy' : 'utf8' })
    expect(problems.length > 0).toBe(/\.bad\.yaml$|^invalid_rules/.test(name))
  })
})
