import { expect, it } from 'vitest'
import { configFeatures, flagsForApi, parseServeFlags, serveFlagTable, unsupportedFlags } from '../../../src/config/serve-flags.ts'
import type { ParsedServeFlags } from '../../../src/config/serve-flags.ts'

const parse = (...argv: string[]): ParsedServeFlags => parseServeFlags(argv, { program: 'promhive serve', version: 'promhive, version 0' })
function good(...argv: string[]): Extract<ParsedServeFlags, { kind: 'flags' }> {
  const parsed = parse(...argv)
  if (parsed.kind !== 'flags') throw new Error(JSON.stringify(parsed))
  return parsed
}

it('has Prometheus’ defaults', () => {
  expect(good().flags).toMatchObject({
    'config.file': 'prometheus.yml',
    'web.listen-address': ['0.0.0.0:9090'],
    'storage.tsdb.path': 'data/',
    'query.timeout': 120_000,
    'query.max-samples': 50_000_000,
    'storage.remote.read-sample-limit': 50_000_000,
    'scrape.timestamp-tolerance': 2,
    'storage.tsdb.retention.time': 0,
    'storage.tsdb.retention.size': 0,
    'alertmanager.drain-notification-queue-on-shutdown': true,
    'web.enable-lifecycle': false,
    'web.remote-write-receiver.accepted-protobuf-messages': ['prometheus.WriteRequest', 'io.prometheus.write.v2.Request'],
  })
})

it('reads both ways to write a value, switches, and what may be repeated', () => {
  const { flags, given, features, warnings } = good(
    '--config.file=/a=b.yml',
    '--query.timeout',
    '1m30s',
    '--web.enable-lifecycle',
    '--no-scrape.adjust-timestamps',
    '--web.listen-address=:1',
    '--web.listen-address',
    ':2',
    '--storage.tsdb.retention.size=512MB',
    '--enable-feature=st-storage,nope',
    '--enable-feature=native-histograms',
  )
  expect(flags).toMatchObject({
    'config.file': '/a=b.yml',
    'query.timeout': 90_000,
    'web.enable-lifecycle': true,
    'scrape.adjust-timestamps': false,
    'web.listen-address': [':1', ':2'],
    'storage.tsdb.retention.size': 512 * 1024 ** 2,
  })
  expect([...given]).toContain('query.timeout')
  expect([...features]).toEqual(['st-storage'])
  expect(configFeatures(features)).toEqual({ protoFirst: true, extraScrapeMetrics: false })
  expect(warnings).toHaveLength(2)
})

it.each([
  [['--foo'], "Error parsing command line arguments: unknown long flag '--foo'", 2],
  [['--quer.timeout=1m'], "Error parsing command line arguments: unknown long flag '--quer.timeout', did you mean '--query.timeout'?", 2],
  [['-x'], "Error parsing command line arguments: unknown short flag '-x'", 2],
  [['word'], 'Error parsing command line arguments: unexpected word', 2],
  [['--', '--x'], 'Error parsing command line arguments: unexpected --x', 2],
  [['--web.enable-lifecycle=true'], 'Error parsing command line arguments: unexpected true', 2],
  [['--config.file'], "Error parsing command line arguments: expected argument for flag '--config.file'", 2],
  [['--query.timeout=1m', '--query.timeout=2m'], "Error parsing command line arguments: flag 'query.timeout' cannot be repeated", 2],
  [['--query.timeout=5x'], 'Error parsing command line arguments: unknown unit "x" in duration "5x"', 2],
  [['--query.max-samples=x'], 'Error parsing command line arguments: strconv.ParseFloat: parsing "x": invalid syntax', 2],
  [['--storage.tsdb.retention.size=5'], 'Error parsing command line arguments: units: unknown unit  in 5', 2],
  [['--log.level=x'], 'Error parsing command line arguments: unrecognized log level x', 2],
  [['--storage.tsdb.wal-compression-type=x'], "Error parsing command line arguments: enum value must be one of snappy,zstd, got 'x'", 2],
  [['--agent', '--query.timeout=1m'], 'The following flag(s) can not be used in agent mode: ["--query.timeout"]', 3],
  [['--storage.agent.path=x'], 'The following flag(s) can only be used in agent mode: ["--storage.agent.path"]', 3],
  [['--auto-gomemlimit.ratio=2'], '--auto-gomemlimit.ratio must be greater than 0 and less than or equal to 1.', 1],
  [['--web.search.max-limit=-1'], '--web.search.max-limit must be non-negative; got -1 (use 0 to disable the cap)', 1],
  [['--web.cors.origin=('], 'could not compile CORS regex string "(": error parsing regexp: missing closing ): `^(?s:()$`', 2],
] as const)('%s', (argv, message, exitCode) => {
  expect(parse(...argv)).toEqual({ kind: 'problem', message, exitCode })
})

it('shows flags as the API does', () => {
  const { flags } = good('--web.listen-address=:1', '--web.listen-address=:2', '--storage.tsdb.wal-segment-size=100MB')
  const shown = flagsForApi(flags, { 'storage.tsdb.retention.time': 15 * 86_400_000 })
  expect(Object.keys(shown)).toHaveLength(serveFlagTable.length)
  expect(shown).toMatchObject({
    'web.listen-address': ':1,:2',
    'query.lookback-delta': '5m',
    'scrape.timestamp-tolerance': '2ms',
    'storage.tsdb.wal-segment-size': '100MiB',
    'storage.tsdb.retention.time': '15d',
    'storage.tsdb.retention.size': '0B',
    agent: 'false',
    'enable-feature': '',
  })
})

it('says which flags are not acted on', () => {
  const parsed = good('--web.enable-otlp-receiver', '--auto-gomemlimit.ratio=0.5', '--query.timeout=1m', '--web.max-connections=512')
  expect(unsupportedFlags(parsed, new Set(['query.timeout']))).toEqual(['--web.enable-otlp-receiver is not supported yet by this program'])
})

it('helps on 80 columns and hides what is hidden', () => {
  const help = parse('--help')
  expect(help.kind).toBe('help')
  const lines = help.kind === 'help' ? help.text.split('\n') : []
  expect(lines[0]).toBe('usage: promhive serve [<flags>]')
  // longer only where a single word is
  expect(lines.filter((line) => line.length > 80 && !/^ +--[a-z.-]+=|^ +\S+$/.test(line))).toEqual([])
  expect(lines.some((line) => line.includes('samples-per-chunk'))).toBe(false)
  expect(parse('--version')).toEqual({ kind: 'version', text: 'promhive, version 0\n' })
})
