import { expect, it } from 'vitest'
import { printProblem } from '../../../src/config/problem.ts'
import { parseConfig } from '../../../src/config/prometheus-config.ts'
import { memoryFiles } from '../../support/config-files.ts'

const rows: [name: string, yaml: string, problems: string[]][] = [
  [
    'unknown key with a suggestion',
    'scrape_config:\n- job_name: a\n',
    ['p.yml:1:1: scrape_config: field scrape_config not found in type config.plain, did you mean scrape_configs?'],
  ],
  ['unknown key far from any', 'xyzzy: 1\n', ['p.yml:1:1: xyzzy: field xyzzy not found in type config.plain']],
  ['key twice', 'global: {}\nglobal: {}\n', ['p.yml:2:1: global: field global already set in type config.plain']],
  ['label twice', 'global:\n  external_labels:\n    a: b\n    a: c\n', ['p.yml:4:5: global.external_labels.a: key "a" already set in map']],
  ['not a duration', 'global:\n  scrape_interval: abc\n', ['p.yml:2:20: global.scrape_interval: not a valid duration string: "abc"']],
  ['no unit', 'global:\n  scrape_interval: 15\n', ['p.yml:2:20: global.scrape_interval: not a valid duration string: "15"']],
  ['not a number', 'global:\n  sample_limit: many\n', ['p.yml:2:17: global.sample_limit: cannot unmarshal !!str `many` into uint']],
  ['negative', 'global:\n  sample_limit: -1\n', ['p.yml:2:17: global.sample_limit: cannot unmarshal !!int `-1` into uint']],
  ['a size without a unit', 'global:\n  body_size_limit: 5\n', ['p.yml:2:20: global.body_size_limit: units: unknown unit  in 5']],
  ['a map where a list belongs', 'rule_files: {}\n', ['p.yml:1:13: rule_files: cannot unmarshal !!map into []string']],
  [
    'a quoted boolean',
    'scrape_configs:\n- job_name: a\n  honor_labels: "true"\n',
    ['p.yml:3:17: scrape_configs[0].honor_labels: cannot unmarshal !!str `true` into bool'],
  ],
  ['no name', 'scrape_configs:\n- metrics_path: /x\n', ['p.yml:2:3: scrape_configs[0].job_name: job_name is empty']],
  ['null job', 'scrape_configs:\n-\n', ['p.yml:2:2: scrape_configs[0]: empty or null scrape config section']],
  [
    'timeout over interval',
    'scrape_configs:\n- job_name: a\n  scrape_interval: 5s\n  scrape_timeout: 6s\n',
    ['p.yml:4:3: scrape_configs[0].scrape_timeout: scrape timeout greater than scrape interval for scrape config with job name "a"'],
  ],
  [
    'global timeout',
    'global:\n  scrape_timeout: 2m\n',
    ['p.yml:2:3: global.scrape_timeout: global scrape timeout greater than scrape interval'],
  ],
  [
    'two jobs of one name',
    'scrape_configs:\n- job_name: a\n- job_name: a\n',
    ['p.yml:3:3: scrape_configs[1].job_name: found multiple scrape configs with job name "a"'],
  ],
  [
    'bad regex',
    'scrape_configs:\n- job_name: a\n  relabel_configs:\n  - regex: (\n    target_label: b\n',
    ['p.yml:4:12: scrape_configs[0].relabel_configs[0].regex: error parsing regexp: missing closing ): `^(?s:()$`'],
  ],
  [
    'unknown action',
    'scrape_configs:\n- job_name: a\n  relabel_configs:\n  - action: drpo\n',
    ['p.yml:4:13: scrape_configs[0].relabel_configs[0].action: unknown relabel action "drpo"'],
  ],
  [
    'hashmod without modulus',
    'scrape_configs:\n- job_name: a\n  relabel_configs:\n  - {action: hashmod, target_label: b}\n',
    ['p.yml:4:5: scrape_configs[0].relabel_configs[0].modulus: relabel configuration for hashmod requires non-zero modulus'],
  ],
  [
    'a legacy job with a utf8 target',
    'scrape_configs:\n- job_name: a\n  metric_name_validation_scheme: legacy\n  metric_relabel_configs:\n  - target_label: a-b\n',
    [`p.yml:5:5: scrape_configs[0].metric_relabel_configs[0].target_label: "a-b" is invalid 'target_label' for replace action`],
  ],
  [
    'a URL as a target',
    'scrape_configs:\n- job_name: a\n  static_configs:\n  - targets: [x, "http://y"]\n',
    ['p.yml:4:18: scrape_configs[0].static_configs[0].targets[1]: "http://y" is not a valid hostname'],
  ],
  [
    'two ways to log in',
    'scrape_configs:\n- job_name: a\n  basic_auth: {username: u}\n  authorization: {credentials: c}\n',
    ['p.yml:4:3: scrape_configs[0].authorization: at most one of basic_auth, oauth2 & authorization must be configured'],
  ],
  [
    'half a client certificate',
    'scrape_configs:\n- job_name: a\n  tls_config: {cert_file: c}\n',
    ['p.yml:3:15: scrape_configs[0].tls_config: exactly one of key or key_file must be configured when a client certificate is configured'],
  ],
  [
    'reserved header',
    'scrape_configs:\n- job_name: a\n  http_headers:\n    authorization: {values: [x]}\n',
    ['p.yml:4:5: scrape_configs[0].http_headers.authorization: setting header "Authorization" is not allowed'],
  ],
  [
    'null discovery',
    'scrape_configs:\n- job_name: a\n  dns_sd_configs:\n  -\n',
    ['p.yml:4:4: scrape_configs[0].dns_sd_configs[0]: empty or null section in dns_sd_configs'],
  ],
  [
    'dns without port',
    'scrape_configs:\n- job_name: a\n  dns_sd_configs:\n  - {names: [x], type: a}\n',
    ['p.yml:4:5: scrape_configs[0].dns_sd_configs[0].port: a port is required in DNS-SD configs for all record types except SRV'],
  ],
  [
    'file name pattern',
    'scrape_configs:\n- job_name: a\n  file_sd_configs:\n  - files: [x.txt]\n',
    ['p.yml:4:13: scrape_configs[0].file_sd_configs[0].files[0]: path name "x.txt" is not valid for file discovery'],
  ],
  ['remote write without url', 'remote_write:\n- name: a\n', ['p.yml:2:3: remote_write[0].url: url for remote_write is empty']],
  [
    'unknown protobuf message',
    'remote_write:\n- url: http://x\n  protobuf_message: v3\n',
    [
      'p.yml:3:3: remote_write[0].protobuf_message: invalid protobuf_message value: unknown type for remote write protobuf message v3, supported: prometheus.WriteRequest, io.prometheus.write.v2.Request',
    ],
  ],
  ['tracing without endpoint', 'tracing: {insecure: true}\n', ['p.yml:1:10: tracing.endpoint: tracing endpoint must be set']],
  ['broken yaml', 'global: [\n', ['p.yml:2:1: yaml: Flow sequence in block collection must be sufficiently indented and end with a ]']],
  ['unknown anchor', 'global: *x\n', ["p.yml:1:9: yaml: unknown anchor 'x' referenced"]],
  ['a control character', 'global: "\x01"\n', ['p.yml:1:10: yaml: control characters are not allowed']],
  [
    'all problems at once, in order',
    'global:\n  scrape_interval: x\n  nope: 1\nscrape_configs:\n- job_name: a\n  scheme: ftp\n- honor_labels: 3\n',
    [
      'p.yml:2:20: global.scrape_interval: not a valid duration string: "x"',
      'p.yml:3:3: global.nope: field nope not found in type config.plain',
      'p.yml:6:3: scrape_configs[0].scheme: unsupported scheme "ftp", must be http or https',
      'p.yml:7:17: scrape_configs[1].honor_labels: cannot unmarshal !!int `3` into bool',
    ],
  ],
]

it.each(rows)('%s', (_, yaml, problems) => {
  const result = parseConfig(yaml, 'p.yml', memoryFiles({}))
  expect(result.problems.map(printProblem)).toEqual(problems)
})

it('agents refuse what they have no use for', () => {
  const yaml = 'rule_files: [a.yml]\nalerting: {alertmanagers: [{static_configs: [{targets: [a]}]}]}\nremote_read: [{url: "http://x"}]\n'
  const result = parseConfig(yaml, 'p.yml', { ...memoryFiles({}), agent: true })
  expect(result.problems.map(({ message }) => message)).toEqual(
    ['rule_files', 'alerting', 'remote_read'].map((key) => `field ${key} is not allowed in agent mode`),
  )
})

it('an alias bomb is refused, and quickly', () => {
  let yaml = 'a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n'
  for (let i = 1; i < 12; i++)
    yaml += `a${i}: &a${i} [${Array(10)
      .fill(`*a${i - 1}`)
      .join(', ')}]\n`
  const result = parseConfig(yaml, 'p.yml', memoryFiles({}))
  expect(result.problems.map(({ message }) => message)).toEqual(['yaml: document contains excessive aliasing'])
})
