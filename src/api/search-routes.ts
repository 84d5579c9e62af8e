// /api/v1/search/*: names and values for autocompletion, scored, as lines of JSON (FEATURES 6.14, 6.15). Source: prometheus web/api/v1/search.go.
import { PromhiveError } from '../base/errors.ts'
import { compareText, metricNameLabel, quote } from '../model/labels.ts'
import type { Found, SeriesQuery } from './backend.ts'
import { badRequest, booleanOf, integerOf, timeOr, type Form } from './parameters.ts'
import { matcherSets } from './query-routes.ts'
import type { ApiRequest, Edge, Route, Streaming } from './routes.ts'
import { scorerOf } from './search-score.ts'

const limitDefault = 100
const batchDefault = 100
const termsMax = 32
const algorithms = ['subsequence', 'jarowinkler'] as const
/** How long metadata of all targets is reused: autocompletion asks at every keystroke. */
const metadataAgeMaxMs = 5_000

type Result = Readonly<{ value: string; score: number }>

export function searchRoutes(edge: Edge): Route[] {
  const { backend, clock } = edge
  const methods = ['GET', 'POST']
  let metadata: { builtMs: number; byName: Map<string, { type: string; help: string; unit: string }> } | null = null
  const metadataByName = async (): Promise<Map<string, { type: string; help: string; unit: string }>> => {
    const nowMs = clock.monotonicMs()
    if (metadata === null || nowMs - metadata.builtMs >= metadataAgeMaxMs) {
      const byName = new Map<string, { type: string; help: string; unit: string }>()
      for (const { entries } of await backend.targets.metadata('')) {
        for (const { metric, type, help, unit } of entries) if (!byName.has(metric)) byName.set(metric, { type, help, unit })
      }
      metadata = { builtMs: nowMs, byName }
    }
    return metadata.byName
  }
  return [
    {
      methods,
      path: '/api/v1/search/metric_names',
      compress: false,
      handler: async (request) => {
        const search = searchOf(edge, request.form, 'metric_names')
        const withMetadata = boolean(request.form, 'include_metadata', false)
        const found = await backend.series.labelValues(metricNameLabel, search.query, request.signal)
        const byName = withMetadata ? await metadataByName() : null
        return stream(request, search, found, ({ value }) => {
          const known = byName?.get(value)
          if (known === undefined) return { name: value }
          return Object.fromEntries([['name', value], ...Object.entries(known).filter(([, text]) => text !== '')])
        })
      },
    },
    {
      methods,
      path: '/api/v1/search/label_names',
      compress: false,
      handler: async (request) => {
        const search = searchOf(edge, request.form, 'label_names')
        return stream(request, search, await backend.series.labelNames(search.query, request.signal), ({ value }) => ({ name: value }))
      },
    },
    {
      methods,
      path: '/api/v1/search/label_values',
      compress: false,
      handler: async (request) => {
        const search = searchOf(edge, request.form, 'label_values')
        const label = request.form.first('label')
        if (label === '') throw badRequest('missing required parameter "label"')
        return stream(request, search, await backend.series.labelValues(label, search.query, request.signal), ({ value }) => ({ value }))
      },
    },
  ]
}

type Search = Readonly<{
  query: SeriesQuery
  score: (value: string) => number | null
  compare: (a: Result, b: Result) => number
  includeScore: boolean
  limit: number
  batchSize: number
}>

function searchOf({ options, backend, clock }: Edge, form: Form, endpoint: string): Search {
  if (!options.enableSearch) throw new PromhiveError('UNAVAILABLE', 'search API disabled')
  if (options.agent) throw new PromhiveError('PROMQL_EXECUTION', 'unavailable with Prometheus Agent')
  form.demand()
  const nowMs = clock.nowMs()
  const startMs = bare(() => timeOr(form, 'start', nowMs - 3_600_000))
  const endMs = bare(() => timeOr(form, 'end', nowMs))
  if (endMs < startMs) throw badRequest('end timestamp must not be before start timestamp')
  const matchers = matcherSets(backend.language, form.all('match[]'))
  const terms = form.all('search[]')
  if (terms.length > termsMax) throw badRequest(`too many search[] terms: got ${terms.length}, maximum is ${termsMax}`)
  const thresholdText = form.first('fuzz_threshold')
  const threshold = thresholdText === '' ? 0 : integerOrNaN(thresholdText)
  if (!(threshold >= 0 && threshold <= 100)) throw badRequest(`invalid fuzz_threshold ${quote(thresholdText)}: must be 0-100`)
  const algorithmText = form.first('fuzz_alg')
  const algorithm = algorithmText === '' ? 'subsequence' : algorithms.find((name) => name === algorithmText)
  if (algorithm === undefined) throw badRequest(`unsupported fuzz_alg ${quote(algorithmText)}: must be one of [${algorithms.join(' ')}]`)
  const caseSensitive = boolean(form, 'case_sensitive', true)
  const includeScore = boolean(form, 'include_score', false)
  const sortBy = form.first('sort_by')
  const sortDir = form.first('sort_dir')
  if (sortDir !== '' && sortBy === '') throw badRequest('sort_dir is only valid when sort_by is set')
  if (sortDir !== '' && sortBy === 'score') throw badRequest('sort_dir is not supported for sort_by=score')
  if (sortDir !== '' && sortDir !== 'asc' && sortDir !== 'dsc')
    throw badRequest(`invalid sort_dir ${quote(sortDir)}: must be "asc" or "dsc"`)
  if (sortBy === 'score' && terms.length === 0) throw badRequest('sort_by=score requires search[] to be set')
  const most = options.searchLimitMax
  let limit = most > 0 ? Math.min(limitDefault, most) : limitDefault
  const limitText = form.first('limit')
  if (limitText !== '') {
    limit = integerOrNaN(limitText)
    if (!(limit > 0)) throw badRequest(`invalid limit ${quote(limitText)}: must be a positive integer`)
    if (most > 0 && limit > most) throw badRequest(`limit ${limit} exceeds the configured maximum (${most}, see --web.search.max-limit)`)
  }
  const batchText = form.first('batch_size')
  const batchSize = batchText === '' ? batchDefault : integerOrNaN(batchText)
  if (!(batchSize > 0)) throw badRequest(`invalid batch_size ${quote(batchText)}: must be a positive integer`)
  if (sortBy !== '' && sortBy !== 'alpha' && sortBy !== 'score') {
    throw badRequest(`invalid sort_by ${quote(sortBy)} for ${endpoint}: must be "alpha" or "score"`)
  }
  const byValue = (a: Result, b: Result): number => compareText(a.value, b.value)
  const byScore = (a: Result, b: Result): number => b.score - a.score || byValue(a, b)
  return {
    query: { matchers, startMs, endMs, limit: 0 },
    score: scorerOf({ terms, algorithm, threshold: threshold / 100, caseSensitive }),
    compare: sortBy === 'score' ? byScore : sortDir === 'dsc' ? (a, b) => byValue(b, a) : byValue,
    includeScore,
    limit,
    batchSize,
  }
}

/** These routes name no parameter in front of what is wrong with a time. */
function bare<T>(run: () => T): T {
  try {
    return run()
  } catch (thrown) {
    if (thrown instanceof PromhiveError) throw badRequest(thrown.message.replace(/^invalid parameter "[a-z]+": /, ''))
    throw thrown
  }
}

function integerOrNaN(text: string): number {
  try {
    return integerOf(text)
  } catch {
    return NaN
  }
}

function boolean(form: Form, name: string, otherwise: boolean): boolean {
  const text = form.first(name)
  if (text === '') return otherwise
  const value = booleanOf(text)
  if (value === null) throw badRequest(`invalid ${name} ${quote(text)}: must be boolean`)
  return value
}

/** A line per batch, then one that says how it ended. Stops where the client goes or does not read. */
function stream({ signal }: ApiRequest, search: Search, found: Found<string>, write: (result: Result) => object): Streaming {
  const results: Result[] = []
  for (const value of found.values) {
    const score = search.score(value)
    if (score !== null) results.push({ value, score })
  }
  results.sort(search.compare)
  return async (response) => {
    response.writeHead(200, { 'Content-Type': 'application/x-ndjson; charset=utf-8' })
    const count = Math.min(results.length, search.limit)
    let at = 0
    do {
      const batch = results.slice(at, Math.min(count, at + search.batchSize))
      at += batch.length
      const line = {
        results: batch.map((result) => (search.includeScore ? withScore(write(result), result.score) : write(result))),
        ...(at === batch.length && found.warnings.length > 0 && { warnings: [...found.warnings].sort() }),
      }
      if (!response.write(JSON.stringify(line) + '\n') && !signal.aborted) {
        await new Promise<void>((resolve) => {
          response.once('drain', resolve)
          signal.addEventListener('abort', () => resolve(), { once: true })
        })
      }
    } while (at < count && !signal.aborted)
    response.end(JSON.stringify({ status: 'success', has_more: results.length > search.limit }) + '\n')
  }
}

/** The score stands behind the name. */
function withScore(result: object, score: number): object {
  const [first, ...rest] = Object.entries(result)
  return Object.fromEntries([first!, ['score', score], ...rest])
}
