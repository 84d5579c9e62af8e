// The query log and the list of active queries of a real server.
import { existsSync, readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { until } from '../support/processes.ts'
import { ServerHome } from '../support/server.ts'

const homes: ServerHome[] = []
afterAll(() => homes.forEach((home) => home.remove()))

type Line = {
  time: string
  level: string
  msg: string
  params: { query: string; start: string; end: string; step: number }
  error?: string
  stats: { timings: Record<string, number>; samples: Record<string, number> }
  spanID: string
  traceID: string
  httpRequest?: Record<string, string>
  ruleGroup?: Record<string, string>
}

function linesOf(path: string): Line[] {
  if (!existsSync(path)) return []
  return readFileSync(path, 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Line)
}

const configWith = (file: string): string =>
  `global: {evaluation_interval: 1s${file === '' ? '' : `, query_log_file: ${file}`}}\nrule_files: [rules.yml]\n`
const rules = `groups: [{name: g, rules: [{record: "a:b", expr: "vector( 1 )"}]}]`

it('queries of clients and rules are logged; reloads switch the log on, reopen, move and end it', async () => {
  const home = new ServerHome({
    config: configWith(''),
    files: { 'rules.yml': rules },
    flags: ['--web.enable-lifecycle', '--web.route-prefix=/p'],
  })
  homes.push(home)
  const server = await home.start()
  try {
    const ask = (path: string, init?: RequestInit) => fetch(`${server.url}/p/api/v1/${path}`, init)
    const reloadTo = async (file: string): Promise<number> => {
      home.write('prometheus.yml', configWith(file))
      return (await fetch(`${server.url}/p/-/reload`, { method: 'POST' })).status
    }
    const enabled = async (): Promise<number> =>
      Number(/^prometheus_engine_query_log_enabled (\d)/m.exec(await (await fetch(`${server.url}/p/metrics`)).text())![1])
    const log = join(home.path, 'q.log')
    expect(await enabled()).toBe(0)
    await ask('query?query=1')
    expect(await reloadTo('q.log')).toBe(200)
    expect(await enabled()).toBe(1)
    await ask('query?query=vector(1)&time=1.5')
    await ask('query_range', {
      method: 'POST',
      body: new URLSearchParams({ query: 'vector(2)', start: '10', end: '20.25', step: '2.5' }),
    })
    await ask('query?query=vector(1)%2Bon()+(vector(1)+or+label_replace(vector(2),"a","b","","")) ')
    await ask('query?query=not(a+query')
    const byClients = await until('the lines are there', () => {
      const found = linesOf(log).filter((line) => line.httpRequest !== undefined)
      return found.length >= 3 ? found : null
    })
    expect(
      byClients.map(({ params, httpRequest, error, stats }) => [params, httpRequest, error, stats.samples['peakSamples']! > 0]),
    ).toEqual([
      [
        { query: 'vector(1)', start: '1970-01-01T00:00:01.500Z', end: '1970-01-01T00:00:01.500Z', step: 0 },
        { clientIP: '127.0.0.1', method: 'GET', path: '/p/api/v1/query' },
        undefined,
        true,
      ],
      [
        { query: 'vector(2)', start: '1970-01-01T00:00:10.000Z', end: '1970-01-01T00:00:20.250Z', step: 2 },
        { clientIP: '127.0.0.1', method: 'POST', path: '/p/api/v1/query_range' },
        undefined,
        true,
      ],
      [
        expect.objectContaining({ query: expect.stringContaining('label_replace') as string, step: 0 }),
        { clientIP: '127.0.0.1', method: 'GET', path: '/p/api/v1/query' },
        expect.stringContaining('found duplicate series for the match group {} on the right hand-side') as string,
        false,
      ],
    ])
    const byRule = await until('the rule is logged', () => linesOf(log).find((line) => line.ruleGroup !== undefined))
    expect(byRule).toMatchObject({
      level: 'INFO',
      msg: 'promql query logged',
      params: { query: 'vector(1)', step: 0 },
      ruleGroup: { file: join(home.path, 'rules.yml'), name: 'g' },
    })
    expect(Object.keys(byRule)).toEqual(['time', 'level', 'source', 'msg', 'params', 'stats', 'spanID', 'traceID', 'ruleGroup'])

    // rotated: the file that was moved gets no more lines, the new one does
    renameSync(log, `${log}.1`)
    expect(await reloadTo('q.log')).toBe(200)
    await ask('query?query=111')
    await until('the new file has the query', () => linesOf(log).find(({ params }) => params.query === '111'))
    expect(linesOf(`${log}.1`).some(({ params }) => params.query === '111')).toBe(false)
    // elsewhere; a bad place is refused and the log in use goes on
    expect(await reloadTo('q2.log')).toBe(200)
    expect(await reloadTo('none/q3.log')).toBe(500)
    await ask('query?query=222')
    await until('the other file has the query', () => linesOf(join(home.path, 'q2.log')).find(({ params }) => params.query === '222'))
    expect(await reloadTo('')).toBe(200)
    expect(await enabled()).toBe(0)
    await ask('query?query=333')
    await server.stop()
    for (const file of ['q.log', 'q2.log']) {
      expect(linesOf(join(home.path, file)).some(({ params }) => params.query === '333')).toBe(false)
    }
  } finally {
    if (!server.process.ended) await server.stop('SIGKILL')
  }
})

it('a log that cannot be opened is told at the start', async () => {
  const home = new ServerHome({ config: configWith('none/q.log'), files: { 'rules.yml': rules } })
  homes.push(home)
  const child = home.spawn()
  expect(await child.exited).toBe(1)
  expect(child.log).toContain('none/q.log: no such file or directory')
})

it('a start after a kill tells of the queries that ran', async () => {
  const home = new ServerHome({ config: 'global: {}\n' })
  homes.push(home)
  const server = await home.start()
  const heavy = 'quantile_over_time(0.5, vector(time())[20d:1s])'
  const asked = server.api('query', { query: heavy }).catch(() => null)
  await until('the query runs', () => readFileSync(join(home.dataDirectory, 'queries.active'), 'utf8').includes(heavy))
  await server.stop('SIGKILL')
  await asked
  const second = await home.start()
  expect(second.log).toContain(
    `msg="These queries didn't finish in prometheus' last run:" component=activeQueryTracker queries="[{\\"query\\":\\"${heavy}\\",\\"timestamp_sec\\":`,
  )
  await second.value('vector(1)')
  await second.stop()
  const file = readFileSync(join(home.dataDirectory, 'queries.active'))
  expect([file.length, file.toString().replaceAll('\0', '')]).toEqual([20_001, '['])
  const third = await home.start()
  expect(third.log).not.toContain("didn't finish")
  await third.stop()
})
