import { inspect } from 'node:util'
import { expect, it } from 'vitest'
import { loadConfig, parseConfig } from '../../../src/config/prometheus-config.ts'
import type { LoadResult, PrometheusConfig } from '../../../src/config/prometheus-config.ts'
import { unsupportedSections } from '../../../src/config/section-use.ts'
import { defaultScrapeOptions, protoFirstScrapeProtocols } from '../../../src/scrape/options.ts'
import { memoryFiles } from '../../support/config-files.ts'

function good(result: LoadResult): PrometheusConfig {
  expect(result.problems).toEqual([])
  return result.config!
}
const parse = (yaml: string, env: Record<string, string> = {}): PrometheusConfig =>
  good(parseConfig(yaml, '/etc/p.yml', memoryFiles({}, env)))

it('a job that says nothing has the defaults', () => {
  const { scrapeJobs } = parse('scrape_configs: [{job_name: a}]')
  expect(scrapeJobs[0]!.options).toEqual({ ...defaultScrapeOptions, jobName: 'a' })
})

it('an empty file is a configuration', () => {
  for (const text of ['', '# nothing\n', 'global:\n']) expect(parse(text).global.scrapeIntervalMs).toBe(60_000)
})

it('jobs inherit from global, and null is not set', () => {
  const config = parse(`
global: {scrape_interval: 30s, scrape_timeout: 20s, sample_limit: 5, body_size_limit: 1KB, scrape_native_histograms: true, extra_scrape_metrics: true}
scrape_configs:
- {job_name: a, scrape_interval: null}
- {job_name: b, scrape_interval: 10s, sample_limit: 7, scrape_native_histograms: false}
`)
  const [a, b] = config.scrapeJobs.map(({ options }) => options)
  expect(a).toMatchObject({ intervalMs: 30_000, timeoutMs: 20_000, sampleLimit: 5, bodySizeLimit: 1024, extraScrapeMetrics: true })
  expect(a!.scrapeProtocols).toEqual(protoFirstScrapeProtocols)
  expect(b).toMatchObject({ intervalMs: 10_000, timeoutMs: 10_000, sampleLimit: 7, scrapeNativeHistograms: false })
  expect(b!.scrapeProtocols).toEqual(defaultScrapeOptions.scrapeProtocols)
})

it.each([
  ['{}', '{}', 'utf8', 'allow-utf-8'],
  ['{metric_name_validation_scheme: legacy}', '{}', 'legacy', 'underscores'],
  ['{metric_name_validation_scheme: legacy}', '{metric_name_validation_scheme: utf8}', 'utf8', 'allow-utf-8'],
  ['{metric_name_escaping_scheme: allow-utf-8}', '{metric_name_validation_scheme: legacy}', 'legacy', 'underscores'],
  ['{metric_name_escaping_scheme: dots}', '{}', 'utf8', 'dots'],
  ['{metric_name_escaping_scheme: dots}', '{metric_name_escaping_scheme: values}', 'utf8', 'values'],
])('names: global %s, job %s', (global, job, validation, escaping) => {
  const { scrapeJobs } = parse(`global: ${global}\nscrape_configs:\n- <<: ${job}\n  job_name: a\n`)
  expect(scrapeJobs[0]!.options).toMatchObject({ metricNameValidationScheme: validation, metricNameEscapingScheme: escaping })
})

it('external labels take variables, and say which are missing', () => {
  const config = parse('global: {external_labels: {a: "${A}-$A-$$A", b: "$NONE", c: x}}', { A: 'v' })
  expect(config.global.externalLabels).toEqual(['a', 'v-v-$A', 'c', 'x'])
  expect(config.warnings).toEqual(['Empty environment variable name=NONE'])
})

it('paths are those of the file they stand in', () => {
  const files = memoryFiles({
    '/etc/p.yml':
      'rule_files: [r/*.yml, /abs.yml]\nscrape_config_files: [jobs/*.yml]\nscrape_configs: [{job_name: a, basic_auth: {password_file: pw}}]',
    '/etc/jobs/b.yml': 'scrape_configs: [{job_name: b, tls_config: {ca_file: ../ca}, file_sd_configs: [{files: [t.json]}]}]',
  })
  const config = good(loadConfig('/etc/p.yml', files))
  expect(config.ruleFiles).toEqual(['/etc/r/*.yml', '/abs.yml'])
  expect(config.scrapeJobs[0]!.options.http.basicAuth!.passwordFile).toBe('/etc/pw')
  expect(config.scrapeJobs[1]!.options.http.tls!.caFile).toBe('/etc/ca')
  expect(config.scrapeJobs[1]!.discovery).toEqual([{ kind: 'file', files: ['/etc/jobs/t.json'], refreshIntervalMs: 300_000 }])
  expect(config.files).toEqual(['/etc/p.yml', '/etc/jobs/b.yml'])
})

it('a job name is one over all files', () => {
  const files = memoryFiles({
    '/p.yml': 'scrape_config_files: ["*.yaml"]\nscrape_configs: [{job_name: a}]',
    '/x.yaml': 'scrape_configs: [{job_name: a}, {job_name: b}]',
    '/y.yaml': 'scrape_configs: [{job_name: b}]',
  })
  expect(loadConfig('/p.yml', files).problems).toMatchObject([
    { file: '/x.yaml', line: 1, message: 'found multiple scrape configs with job name "a", first found in main config file' },
    { file: '/y.yaml', line: 1, message: 'found multiple scrape configs with job name "b", first found in "/x.yaml"' },
  ])
})

const secrets = `
scrape_configs:
- job_name: a
  basic_auth: {username: u, password: hush}
  consul_sd_configs: [{token: hush}]
  http_headers: {X-Key: {secrets: [hush]}}
- job_name: b
  oauth2: {client_id: i, token_url: "http://t", client_secret: hush}
  proxy_url: http://user:hush@proxy
- job_name: c
  bearer_token: hush
remote_write: [{url: "http://u:hush@x", sigv4: {access_key: k, secret_key: hush}}]
`
it('secrets are not printed, but handed to those who need them', () => {
  const config = parse(secrets)
  expect(config.yaml).not.toContain('hush')
  expect(config.yaml).toContain('proxy_url: http://user:xxxxx@proxy')
  expect(config.yaml).toContain('    type: Bearer\n    credentials: <secret>')
  const [discovery] = config.scrapeJobs[0]!.discovery
  expect(inspect(discovery, { depth: 9 })).not.toContain('hush')
  expect(JSON.stringify(discovery)).not.toContain('hush')
  expect(discovery!.kind === 'consul' && discovery.token.reveal()).toBe('hush')
  expect(config.scrapeJobs[0]!.options.http.basicAuth!.password).toBe('hush')
  expect(config.scrapeJobs[2]!.options.http.authorization).toEqual({ type: 'Bearer', credentials: 'hush', credentialsFile: '' })
})

it('what it prints, it reads, and prints again', () => {
  const once = parse(secrets).yaml.replaceAll('<secret>', 'hush')
  expect(parse(once).yaml).toBe(parse(secrets).yaml)
})

it('retention of the flags shows and holds where the file says nothing', () => {
  const byFlags = { retention: { timeMs: 15 * 86_400_000, sizeBytes: 0 } }
  const plain = good(parseConfig('', 'p.yml', { ...memoryFiles({}), ...byFlags }))
  expect(plain.storage.retentionTimeMs).toBe(15 * 86_400_000)
  expect(plain.yaml).toContain('    retention:\n      time: 15d\n')
  const sized = good(parseConfig('storage: {tsdb: {retention: {size: 1GB}}}', 'p.yml', { ...memoryFiles({}), ...byFlags }))
  expect(sized.storage).toMatchObject({ retentionTimeMs: 0, retentionSizeBytes: 1024 ** 3 })
})

it('says what a program cannot do, and where', () => {
  const config = parse(`scrape_configs:
- job_name: a
  dns_sd_configs: [{names: [x]}]
  consul_sd_configs: [{server: x}]
remote_write: [{url: "http://x"}]
`)
  expect(unsupportedSections(config, new Set(['dns_sd_configs', 'remote_read']))).toMatchObject([
    { line: 4, column: 3, message: 'consul_sd_configs is not supported yet by this program: remove it to go on without it' },
    { line: 5, column: 1, message: 'remote_write is not supported yet by this program: remove it to go on without it' },
  ])
  expect(unsupportedSections(config, new Set(['dns_sd_configs', 'consul_sd_configs', 'remote_write']))).toEqual([])
})

it('everything is frozen', () => {
  const config = parse(
    'scrape_configs: [{job_name: a, static_configs: [{targets: [x], labels: {l: v}}], relabel_configs: [{target_label: b}]}]',
  )
  const walk = (value: unknown, path: string): void => {
    if (typeof value !== 'object' || value === null) return
    expect(Object.isFrozen(value), path).toBe(true)
    for (const [key, inner] of Object.entries(value)) walk(inner, `${path}.${key}`)
  }
  walk(config, '')
})
