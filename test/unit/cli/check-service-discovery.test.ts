import { expect, it } from 'vitest'
import { checkServiceDiscovery } from '../../../src/cli/tool/check-service-discovery.ts'
import { memoryFiles } from '../../support/config-files.ts'
import { discoveryBench } from '../../support/discovery.ts'

const config = `
scrape_configs:
  - job_name: node
    scrape_interval: 15s
    relabel_configs: [{source_labels: [drop], regex: me, action: drop}]
    static_configs:
      - {targets: [a:1, a:1, b/x], labels: {env: "<a>"}}
      - {targets: [c:1], labels: {drop: me}}
  - job_name: dns
    dns_sd_configs: [{names: [x], type: A, port: 9}]
  - job_name: web
    http_sd_configs: [{url: "http://sd/"}]
  - job_name: both
    static_configs: [{targets: [a:1]}]
    http_sd_configs: [{url: "http://sd/"}]
  - job_name: none
  - job_name: consul
    consul_sd_configs: [{server: "c:1"}]
`

/** What is printed, what goes to standard error, the exit code, and how long it took in virtual time. */
async function check(jobName: string, text = config, bench = discoveryBench()) {
  const out: string[] = []
  const err: string[] = []
  const files = memoryFiles({ '/p.yml': text })
  const running = checkServiceDiscovery(
    { configFile: '/p.yml', jobName, timeoutMs: 30_000 },
    {
      print: (line) => void out.push(line),
      printError: (line) => void err.push(line),
      readFile: files.readFile,
      glob: files.glob,
      exists: () => false,
      readStdin: () => Promise.resolve(new Uint8Array()),
    },
    bench.ports,
  )
  let ended = false
  void running.then(() => (ended = true))
  await bench.clock.settle()
  while (!ended && (await bench.clock.step()));
  return { exitCode: await running, out: out.join('\n'), err: err.join('\n'), tookMs: bench.clock.monotonicMs() }
}

const defaults = {
  __always_scrape_classic_histograms__: 'false',
  __convert_classic_histograms_to_nhcb__: 'false',
  __metrics_path__: '/metrics',
  __scheme__: 'http',
  __scrape_interval__: '15s',
  __scrape_native_histograms__: 'false',
  __scrape_timeout__: '10s',
}

it('every target with what was discovered, what it became, and what is wrong with it; no waiting where all is known', async () => {
  const { exitCode, out, tookMs } = await check('node')
  expect(exitCode).toBe(0)
  expect(tookMs).toBe(0)
  expect(out).toContain('"env": "\\u003ca\\u003e"')
  const a = { ...defaults, __address__: 'a:1', env: '<a>', job: 'node' }
  expect(JSON.parse(out)).toEqual([
    { discoveredLabels: a, labels: { ...a, instance: 'a:1' } },
    { discoveredLabels: { ...a, __address__: 'b/x' }, labels: {}, error: '"b/x" is not a valid hostname' },
    { discoveredLabels: { ...defaults, __address__: 'c:1', drop: 'me', job: 'node' }, labels: {} },
  ])
  expect(Object.keys((JSON.parse(out) as { labels: object }[])[0]!.labels)).toEqual(Object.keys({ ...a, instance: 'a:1' }).sort())
})

it('dns', async () => {
  const bench = discoveryBench()
  bench.records.set('A x', [{ address: '192.0.2.1' }])
  const { out } = await check('dns', config, bench)
  expect((JSON.parse(out) as { labels: object }[]).map(({ labels }) => labels)).toMatchObject([{ instance: '192.0.2.1:9', job: 'dns' }])
})

it('a section that does not answer is waited for until the timeout, and what others found is printed', async () => {
  const { exitCode, out, err, tookMs } = await check('both')
  expect(exitCode).toBe(0)
  expect(tookMs).toBe(30_000)
  expect(JSON.parse(out)).toHaveLength(1)
  expect(err).toContain('Unable to refresh target groups discovery="http" config="both" err="Get \\"http://sd/\\"')
})

it.each<[string, string, string]>([
  ['nope', config, 'Job nope not found. Select one of:\n\tnode\n\tdns\n\tweb\n\tboth\n\tnone\n\tconsul'],
  ['consul', config, 'Could not create new discoverer: cannot discover targets by consul_sd_configs'],
  ['node', 'scrape: []', 'Cannot load config /p.yml\n  /p.yml:1:1: '],
])('job %s fails', async (job, text, why) => {
  const { exitCode, out, err } = await check(job, text)
  expect(exitCode).toBe(1)
  expect(out).toBe('')
  expect(err).toContain(why)
})

it('a job without sections finds nothing', async () => {
  expect(await check('none')).toMatchObject({ exitCode: 0, out: '[]', tookMs: 0 })
})
