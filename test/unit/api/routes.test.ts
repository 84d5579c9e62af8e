// Every route of the Prometheus API against a backend of constants: what it asks, what it answers, how it refuses.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { maxTimeMs, minTimeMs } from '../../../src/api/backend.ts'
import { groupToken } from '../../../src/api/rule-routes.ts'
import { PromhiveError, type ErrorCode } from '../../../src/base/errors.ts'
import { utf8Bytes } from '../../../src/base/bytes.ts'
import { fakeNowMs, startRig, type Rig } from '../../support/fake-api-backend.ts'

let rig: Rig
beforeAll(async () => {
  rig = await startRig({ enableAdminApi: true })
})
afterAll(() => rig.api.close())

type Envelope = { status: string; data?: unknown; errorType?: string; error?: string; warnings?: string[]; infos?: string[] }
async function get(path: string, init: RequestInit = {}): Promise<{ status: number; body: Envelope; headers: Headers }> {
  const answer = await fetch(rig.url + path, init)
  const text = await answer.text()
  return { status: answer.status, body: (text === '' ? {} : JSON.parse(text)) as Envelope, headers: answer.headers }
}
const post = (body: Record<string, string> | [string, string][]): RequestInit => ({ method: 'POST', body: new URLSearchParams(body) })
const lastAsked = (): unknown => rig.backend.asked.at(-1)!.with

describe('answers', () => {
  const common = { timeoutMs: null, limit: 0, lookbackMs: null, stats: 'none', origin: { clientIp: '127.0.0.1', method: 'GET' } }
  const everything = { startMs: minTimeMs, endMs: maxTimeMs, limit: 0 }
  const up = [{ name: '__name__', kind: '=', value: 'up' }]
  const rows: readonly (readonly [path: string, asked: unknown])[] = [
    ['/api/v1/query?query=up', { ...common, query: 'up', timeMs: fakeNowMs }],
    [
      '/api/v1/query?query=up&time=123.5&timeout=5s&limit=3&lookback_delta=1m&stats=all',
      { query: 'up', timeMs: 123_500, timeoutMs: 5_000, limit: 3, lookbackMs: 60_000, stats: 'all' },
    ],
    ['/api/v1/query?query=2&stats=true&lookback_delta=0', { ...common, query: '2', timeMs: fakeNowMs, stats: 'basic' }],
    ['/api/v1/query_range?query=up&start=0&end=600&step=15', { ...common, query: 'up', startMs: 0, endMs: 600_000, stepMs: 15_000 }],
    ['/api/v1/query_range?query=up&start=0&end=11&step=1ms', { ...common, query: 'up', startMs: 0, endMs: 11_000, stepMs: 1 }],
    ['/api/v1/query_range?query=up&start=0&end=1&step=0.3334', { ...common, query: 'up', startMs: 0, endMs: 1_000, stepMs: 333 }],
    ['/api/v1/query_exemplars?query=up&start=1&end=2', { selectors: [up], startMs: 1_000, endMs: 2_000 }],
    ['/api/v1/labels', { ...everything, matchers: [] }],
    [
      '/api/v1/labels?match[]=up&match[]=up{job="a"}&start=1&end=2&limit=2',
      { startMs: 1_000, endMs: 2_000, limit: 2, matchers: [up, [...up, { name: 'job', kind: '=', value: 'a' }]] },
    ],
    ['/api/v1/label/job/values', { ...everything, name: 'job', matchers: [] }],
    ['/api/v1/label/U__http_2e_status/values', { ...everything, name: 'http.status', matchers: [] }],
    ['/api/v1/label/http.status%2Fcode/values', { ...everything, name: 'http.status/code', matchers: [] }],
    ['/api/v1/series?match[]=up', { ...everything, matchers: [up] }],
    ['/api/v1/status/tsdb', 10],
    ['/api/v1/status/tsdb?limit=10000', 10_000],
  ]
  for (const [path, asked] of rows) {
    it(`asks for what ${path} means`, async () => {
      const { status, body } = await get(path)
      expect(body.error).toBeUndefined()
      expect(status).toBe(200)
      if (typeof asked === 'object') expect(lastAsked()).toMatchObject(asked as object)
      else expect(lastAsked()).toBe(asked)
      expect(body.status).toBe('success')
    })
  }

  it('POST forms mean the same, and the body comes before the URL', async () => {
    await get('/api/v1/query?query=url&time=5', post({ query: 'body', limit: '1' }))
    expect(lastAsked()).toMatchObject({ query: 'body', timeMs: 5_000, limit: 1 })
    await get(
      '/api/v1/series',
      post([
        ['match[]', 'up'],
        ['match[]', 'down'],
      ]),
    )
    expect((lastAsked() as { matchers: unknown[] }).matchers.length).toBe(2)
    const json = { method: 'POST', body: '{"query":"x"}', headers: { 'Content-Type': 'application/json' } }
    await get('/api/v1/query?query=url', json)
    expect(lastAsked()).toMatchObject({ query: 'url' })
  })

  it('query bytes are passed on untouched, with warnings and infos behind them', async () => {
    const before = rig.backend.answer
    rig.backend.answer = {
      data: [utf8Bytes('{"resultType":"vector","result":'), utf8Bytes('[{"metric":{},"value":[1,"1"]}]}')],
      truncated: true,
      warnings: ['slow'],
      infos: ['metric might not be a counter'],
    }
    const answer = await fetch(`${rig.url}/api/v1/query?query=up&limit=1&stats=yes`)
    rig.backend.answer = before
    expect(await answer.text()).toBe(
      '{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"1"]}]},' +
        '"warnings":["slow","results truncated due to limit","value \\"yes\\" for parameter \\"stats\\" is deprecated and will be rejected in the next major release, use \\"true\\" or \\"all\\""],' +
        '"infos":["metric might not be a counter"]}',
    )
    expect(answer.headers.get('content-type')).toBe('application/json')
  })

  it('names at most ten warnings and counts the rest', async () => {
    const before = rig.backend.answer
    rig.backend.answer = { ...before, warnings: Array.from({ length: 25 }, (_, i) => `w${i}`) }
    const { body } = await get('/api/v1/query?query=up')
    rig.backend.answer = before
    expect(body.warnings!.length).toBe(11)
    expect(body.warnings![10]).toBe('15 more warning annotations omitted')
  })

  it('cuts lists at their limit and says so', async () => {
    expect((await get('/api/v1/labels?limit=2')).body).toEqual({
      status: 'success',
      data: ['__name__', 'instance'],
      warnings: ['results truncated due to limit'],
    })
    expect((await get('/api/v1/labels?limit=3')).body).toEqual({ status: 'success', data: ['__name__', 'instance', 'job'] })
    expect((await get('/api/v1/label/x/values?limit=1')).body.warnings).toEqual(['a shard is missing', 'results truncated due to limit'])
    expect((await get('/api/v1/series?match[]=up&limit=1')).body).toEqual({
      status: 'success',
      data: [{ __name__: 'up', job: 'a', quote: '"\\' }],
      warnings: ['results truncated due to limit'],
    })
  })

  it('exemplars, formatted and parsed queries', async () => {
    expect((await get('/api/v1/query_exemplars?query=up')).body.data).toEqual([
      {
        seriesLabels: { __name__: 'requests_bucket', job: 'api' },
        exemplars: [{ labels: { trace_id: 'abc' }, value: '0.25', timestamp: 1600096945.479 }],
      },
    ])
    expect((await get('/api/v1/query_exemplars?query=1')).status).toBe(204)
    expect((await get('/api/v1/format_query?query=up')).body.data).toBe('formatted up')
    expect((await get('/api/v1/parse_query?query=up')).body.data).toEqual({ type: 'vectorSelector', name: 'up' })
  })

  it('targets by state and pool', async () => {
    const data = async (
      query: string,
    ): Promise<{ activeTargets: { scrapePool: string }[]; droppedTargets: unknown[]; droppedTargetCounts: unknown }> =>
      (await get(`/api/v1/targets${query}`)).body.data as never
    const all = await data('')
    expect(all.activeTargets.map((t) => t.scrapePool)).toEqual(['alertmanager', 'node'])
    expect(all.activeTargets[0]).toMatchObject({
      lastScrape: '0001-01-01T00:00:00Z',
      health: 'down',
      lastError: 'connection refused',
      globalUrl: 'http://other:9093/metrics',
    })
    expect(all.activeTargets[1]).toMatchObject({
      lastScrape: '2026-01-02T13:36:40.2Z',
      lastScrapeDuration: 0.006576866,
      globalUrl: 'http://prom.example:9100/metrics',
    })
    expect(all.droppedTargetCounts).toEqual({ alertmanager: 0, node: 1 })
    expect(all.droppedTargets).toEqual([{ discoveredLabels: { __address__: 'gone:1' }, scrapePool: 'node' }])
    expect((await data('?scrapePool=node')).activeTargets.length).toBe(1)
    expect(await data('?state=Active')).toMatchObject({ droppedTargets: [], droppedTargetCounts: null })
    expect(await data('?state=dropped')).toMatchObject({ activeTargets: [], droppedTargetCounts: { node: 1 } })
    expect((await get('/api/v1/scrape_pools')).body.data).toEqual({ scrapePools: ['alertmanager', 'node'] })
    expect((await get('/api/v1/scrape_pools/config?scrapePool=node')).body.data).toEqual({ yaml: 'job_name: node\n' })
    expect((await get('/api/v1/alertmanagers')).body.data).toEqual({
      activeAlertmanagers: [{ url: 'http://am:9093/api/v2/alerts' }],
      droppedAlertmanagers: [],
    })
  })

  it('relabel steps', async () => {
    const { body } = await get(`/api/v1/targets/relabel_steps?scrapePool=node&labels=${encodeURIComponent('{"b":"2","a":"1"}')}`)
    expect(body.data).toMatchObject({ steps: [{ output: { a: '1', b: '2' }, keep: true, rule: { action: 'replace' } }] })
  })

  it('metadata by target and by metric', async () => {
    expect((await get('/api/v1/targets/metadata?match_target={job="node"}&metric=up')).body.data).toEqual([
      { target: { instance: 'n1', job: 'node' }, type: 'gauge', help: 'Up.', unit: '' },
    ])
    expect(((await get('/api/v1/targets/metadata')).body.data as unknown[]).length).toBe(3)
    expect(((await get('/api/v1/targets/metadata?limit=1')).body.data as unknown[]).length).toBe(2)
    expect((await get('/api/v1/targets/metadata?limit=0')).body.data).toEqual([])
    expect((await get('/api/v1/metadata?metric=up')).body.data).toEqual({
      up: [
        { type: 'gauge', help: 'Up.', unit: '' },
        { type: 'gauge', help: 'Up!', unit: '' },
      ],
    })
    expect((await get('/api/v1/metadata?limit_per_metric=1&limit=1')).body.data).toEqual({ up: [{ type: 'gauge', help: 'Up.', unit: '' }] })
  })

  it('rules, filtered and by pages', async () => {
    const names = async (query: string): Promise<string[]> =>
      ((await get(`/api/v1/rules${query}`)).body.data as { groups: { rules: { name: string }[] }[] }).groups.flatMap((g) =>
        g.rules.map((r) => r.name),
      )
    expect(await names('')).toEqual(['Down', 'job:up:sum'])
    expect(await names('?type=alert')).toEqual(['Down'])
    expect(await names('?type=RECORD')).toEqual(['job:up:sum'])
    expect(await names('?rule_name[]=Down&rule_name[]=x')).toEqual(['Down'])
    expect(await names('?rule_group[]=two')).toEqual(['job:up:sum'])
    expect(await names('?file[]=/etc/a.yml')).toEqual(['Down'])
    expect(await names('?match[]={team="x"}')).toEqual(['job:up:sum'])
    expect(await names('?rule_name[]=none')).toEqual([])
    const first = (await get('/api/v1/rules?group_limit=1')).body.data as { groups: unknown[]; groupNextToken?: string }
    expect(first.groups.length).toBe(1)
    expect(first.groupNextToken).toBe(groupToken('/etc/b.yml', 'two'))
    const second = (await get(`/api/v1/rules?group_limit=1&group_next_token=${first.groupNextToken}`)).body.data as typeof first
    expect(second).toMatchObject({ groups: [{ name: 'two' }] })
    expect(second.groupNextToken).toBeUndefined()
    const [group] = first.groups as { rules: { alerts: unknown; duration: number }[] }[]
    expect(group).toMatchObject({
      name: 'one',
      file: '/etc/a.yml',
      interval: 60,
      limit: 0,
      evaluationTime: 0.0015,
      lastEvaluation: '2026-01-02T13:36:40Z',
    })
    expect(group!.rules[0]).toMatchObject({ state: 'firing', duration: 300, keepFiringFor: 0, type: 'alerting', health: 'ok' })
    expect(group!.rules[0]!.alerts).toEqual([
      {
        labels: { alertname: 'Down', job: 'a' },
        annotations: { summary: 'down' },
        state: 'firing',
        activeAt: '2026-01-02T13:20:00Z',
        value: '1e+00',
      },
    ])
    const without = (await get('/api/v1/rules?exclude_alerts=true')).body.data as { groups: { rules: { alerts: unknown }[] }[] }
    expect(without.groups[0]!.rules[0]!.alerts).toBeNull()
    expect((await get('/api/v1/alerts')).body.data).toMatchObject({ alerts: [{ state: 'firing', value: '1e+00' }] })
  })

  it('status', async () => {
    expect((await get('/api/v1/status/config')).body.data).toEqual({ yaml: 'global:\n  scrape_interval: 15s\n' })
    expect((await get('/api/v1/status/flags')).body.data).toEqual({ 'web.enable-lifecycle': 'false' })
    expect((await get('/api/v1/status/buildinfo')).body.data).toMatchObject({ version: '3.14.0' })
    expect((await get('/api/v1/status/walreplay')).body.data).toEqual({ min: 1, max: 5, current: 3 })
    expect((await get('/api/v1/status/runtimeinfo')).body.data).toMatchObject({
      startTime: '2026-01-01T20:40:00Z',
      reloadConfigSuccess: true,
      GOMAXPROCS: 2,
      storageRetention: '15d',
    })
    expect((await get('/api/v1/status/tsdb/blocks')).body.data).toMatchObject({ blocks: [{ ulid: '01JHABC' }] })
    const metrics = (await get('/api/v1/status/self_metrics?metric_name_pattern=prometheus_http_(requests_total|response_size_bytes)')).body
      .data as { name: string; type: string; metric: unknown[] }[]
    expect(metrics.map((m) => [m.name, m.type])).toEqual([
      ['prometheus_http_requests_total', 'COUNTER'],
      ['prometheus_http_response_size_bytes', 'HISTOGRAM'],
    ])
    expect(metrics[0]!.metric).toContainEqual({
      label: [
        { name: 'handler', value: '/api/v1/rules' },
        { name: 'code', value: '200' },
      ],
      counter: { value: expect.any(Number) as number },
    })
  })

  it('admin', async () => {
    const put = { method: 'PUT' }
    expect((await get('/api/v1/admin/tsdb/delete_series?match[]=up&match[]=x&start=1', put)).status).toBe(204)
    expect(rig.backend.asked.slice(-2)).toMatchObject([
      { what: 'deleteSeries', with: { startMs: 1_000, endMs: maxTimeMs } },
      { what: 'deleteSeries' },
    ])
    // nothing is selected by no matchers: a Prometheus deletes nothing either
    const asked = rig.backend.asked.length
    expect((await get('/api/v1/admin/tsdb/delete_series?match[]={}', put)).status).toBe(204)
    expect(rig.backend.asked.length).toBe(asked)
    expect((await get('/api/v1/admin/tsdb/clean_tombstones', post({}))).status).toBe(204)
    expect((await get('/api/v1/admin/tsdb/snapshot', post({ skip_head: 'true' }))).body.data).toEqual({
      name: '20260102T133700Z-0123456789abcdef',
    })
    expect(lastAsked()).toBe(true)
  })
})

describe('refusals', () => {
  const bad: readonly (readonly [path: string, error: string | RegExp])[] = [
    ['/api/v1/query?query=up&time=x', `invalid parameter "time": invalid time value for 'time': cannot parse "x" to a valid timestamp`],
    ['/api/v1/query?query=up&timeout=x', 'invalid parameter "timeout": cannot parse "x" to a valid duration'],
    ['/api/v1/query?query=up&limit=x', 'invalid parameter "limit": strconv.Atoi: parsing "x": invalid syntax'],
    ['/api/v1/query?query=up&limit=-1', 'invalid parameter "limit": limit must be non-negative'],
    ['/api/v1/query?query=up&lookback_delta=x', 'error parsing lookback delta duration: cannot parse "x" to a valid duration'],
    ['/api/v1/query_range?query=up&end=1&step=1', 'invalid parameter "start": cannot parse "" to a valid timestamp'],
    ['/api/v1/query_range?query=up&start=1&step=1', 'invalid parameter "end": cannot parse "" to a valid timestamp'],
    ['/api/v1/query_range?query=up&start=1&end=2', 'invalid parameter "step": cannot parse "" to a valid duration'],
    ['/api/v1/query_range?query=up&start=2&end=1&step=1', 'invalid parameter "end": end timestamp must not be before start time'],
    [
      '/api/v1/query_range?query=up&start=1&end=2&step=0',
      'invalid parameter "step": zero or negative query resolution step widths are not accepted. Try a positive integer',
    ],
    ['/api/v1/query_range?query=up&start=1&end=2&step=-5', /zero or negative/],
    [
      '/api/v1/query_range?query=up&start=0&end=11001&step=1',
      'exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)',
    ],
    ['/api/v1/query_range?query=up&start=-292273086-05-16T16:47:06Z&end=1&step=1', /11,000/],
    ['/api/v1/query_exemplars?query=up&start=2&end=1', 'end timestamp must not be before start timestamp'],
    ['/api/v1/format_query?query=', 'invalid parameter "query": unknown position: parse error: no expression found in input'],
    ['/api/v1/labels?match[]=', '1:1: parse error: unexpected end of input'],
    ['/api/v1/labels?match[]={job=~".*"}', 'match[] must contain at least one non-empty matcher'],
    ['/api/v1/labels?start=x', /^invalid parameter "start": invalid time value for 'start'/],
    ['/api/v1/label/%ff/values', /%ff/],
    ['/api/v1/label/U__/values', 'invalid label name: ""'],
    ['/api/v1/series', 'no match[] parameter provided'],
    ['/api/v1/series?match[]={}', 'invalid parameter "match[]": match[] must contain at least one non-empty matcher'],
    ['/api/v1/series?match[]=up&x=%zz', 'error parsing form values: invalid URL escape "%zz"'],
    ['/api/v1/targets/metadata?limit=x', 'limit must be a number'],
    ['/api/v1/targets/metadata?match_target=(', 'invalid parameter "match_target": 1:1: parse error: unexpected end of input'],
    ['/api/v1/metadata?limit_per_metric=x', 'limit_per_metric must be a number'],
    ['/api/v1/scrape_pools/config', 'no scrapePool parameter provided'],
    ['/api/v1/scrape_pools/config?scrapePool=x', 'error retrieving scrape config: unable to find a scrape config for job "x"'],
    ['/api/v1/targets/relabel_steps?scrapePool=node', 'no labels parameter provided'],
    ['/api/v1/targets/relabel_steps?scrapePool=node&labels=[]', /^error parsing labels: /],
    ['/api/v1/targets/relabel_steps?scrapePool=node&labels={"a":1}', /^error parsing labels: /],
    ['/api/v1/rules?type=x', 'invalid parameter "type": not supported value "x"'],
    ['/api/v1/rules?exclude_alerts=x', /^invalid parameter "exclude_alerts": error converting exclude_alerts/],
    ['/api/v1/rules?group_limit=0', 'invalid parameter "group_limit": group_limit needs to be greater than 0'],
    ['/api/v1/rules?group_limit=x', /^invalid parameter "group_limit": group_limit needs to be a valid number/],
    [
      '/api/v1/rules?group_next_token=x',
      'invalid parameter "group_next_token": group_limit needs to be present in order to paginate over the groups',
    ],
    [
      '/api/v1/rules?group_limit=1&group_next_token=x',
      `invalid parameter "group_next_token": invalid group_next_token 'x'. were rule groups changed?`,
    ],
    ['/api/v1/status/tsdb?limit=0', 'limit must be a positive number'],
    ['/api/v1/status/tsdb?limit=10001', 'limit must not exceed 10000'],
    ['/api/v1/status/self_metrics?metric_name_pattern=(', /^invalid metric_name_pattern: /],
  ]
  for (const [path, error] of bad) {
    it(`400 for ${path}`, async () => {
      const { status, body, headers } = await get(path)
      expect(status).toBe(400)
      expect(headers.get('content-type')).toBe('application/json')
      expect(body).toEqual({
        status: 'error',
        errorType: 'bad_data',
        error: typeof error === 'string' ? error : (expect.stringMatching(error) as string),
      })
    })
  }

  const thrown: readonly (readonly [ErrorCode, number, string])[] = [
    ['PROMQL_PARSE', 400, 'bad_data'],
    ['PROMQL_EXECUTION', 422, 'execution'],
    ['QUERY_TIMEOUT', 503, 'timeout'],
    ['QUERY_CANCELED', 499, 'canceled'],
    ['QUERY_LIMIT', 422, 'execution'],
    ['UNAVAILABLE', 500, 'unavailable'],
    ['STORAGE_CORRUPT', 500, 'internal'],
    ['NOT_FOUND', 404, 'not_found'],
    ['INTERNAL', 500, 'internal'],
  ]
  for (const [code, status, errorType] of thrown) {
    it(`${code} of the backend is ${status} ${errorType}`, async () => {
      rig.backend.failWith = new PromhiveError(code, '1:5: why')
      const answer = await get('/api/v1/query?query=up')
      rig.backend.failWith = null
      expect(answer.status).toBe(status)
      expect(answer.body).toEqual({
        status: 'error',
        errorType,
        error: code === 'PROMQL_PARSE' ? 'invalid parameter "query": 1:5: why' : '1:5: why',
      })
    })
  }
  it('anything else that is thrown is 500 internal', async () => {
    rig.backend.failWith = new TypeError('oops')
    const answer = await get('/api/v1/labels')
    rig.backend.failWith = null
    expect(answer).toMatchObject({ status: 500, body: { status: 'error', errorType: 'internal', error: 'oops' } })
  })

  it('unknown paths and other methods', async () => {
    expect(await get('/api/v1/nope')).toMatchObject({
      status: 404,
      body: { status: 'error', errorType: 'not_found', error: 'path "/api/v1/nope" not found' },
    })
    const wrong = await fetch(`${rig.url}/api/v1/labels`, { method: 'DELETE' })
    expect([wrong.status, wrong.headers.get('allow'), await wrong.text()]).toEqual([405, 'GET, POST', 'Method Not Allowed\n'])
    const readOnly = await fetch(`${rig.url}/api/v1/rules`, { method: 'POST' })
    expect([readOnly.status, readOnly.headers.get('allow')]).toEqual([405, 'GET'])
    const elsewhere = await fetch(`${rig.url}/nowhere`)
    expect([elsewhere.status, await elsewhere.text()]).toEqual([404, '404 page not found\n'])
    const slash = await fetch(`${rig.url}/api/v1/labels/?limit=1`, { redirect: 'manual' })
    expect([slash.status, slash.headers.get('location')]).toEqual([301, '/api/v1/labels?limit=1'])
  })

  it('a form body that is too large', async () => {
    const { status, body } = await get('/api/v1/query', post({ query: 'x'.repeat(11 << 20) }))
    expect([status, body.errorType]).toEqual([413, 'bad_data'])
  })
})

describe('switched off', () => {
  it('the admin API', async () => {
    const off = await startRig()
    for (const path of ['delete_series?match[]=up', 'clean_tombstones', 'snapshot']) {
      const answer = await fetch(`${off.url}/api/v1/admin/tsdb/${path}`, { method: 'POST' })
      expect([answer.status, await answer.json()]).toEqual([
        500,
        { status: 'error', errorType: 'unavailable', error: 'admin APIs disabled' },
      ])
    }
    expect(off.backend.asked).toEqual([])
    await off.api.close()
  })
  it('everything about a storage, in agent mode', async () => {
    const agent = await startRig({ agent: true })
    for (const path of ['query?query=up', 'labels', 'series?match[]=up', 'rules', 'alerts', 'status/tsdb', 'alertmanagers']) {
      const answer = await fetch(`${agent.url}/api/v1/${path}`)
      expect([answer.status, await answer.json()]).toEqual([
        422,
        { status: 'error', errorType: 'execution', error: 'unavailable with Prometheus Agent' },
      ])
    }
    expect((await fetch(`${agent.url}/api/v1/targets`)).status).toBe(200)
    expect((await fetch(`${agent.url}/`, { redirect: 'manual' })).headers.get('location')).toBe('/agent')
    await agent.api.close()
  })
})
