// /api/v1: queries and what is near them (FEATURES 6.06–6.13).
import { unescapeName } from '../../protocols/exposition/names.ts'
import { PromhiveError } from '../base/errors.ts'
import { labelsToObject, quote } from '../model/labels.ts'
import { compileMatcher } from '../model/matching.ts'
import { formatSampleValue } from '../model/number-text.ts'
import type { Matcher } from '../model/matcher.ts'
import { maxTimeMs, minTimeMs, type QueryAnswer, type QueryLanguage, type QueryOptions, type SeriesQuery } from './backend.ts'
import { noContent, success, successBytes, type Answer } from './envelope.ts'
import { badRequest, durationOf, durationOr, invalidParameter, limitOf, timeOf, timeOr, wholeMs, type Form } from './parameters.ts'
import { originOf, type ApiRequest, type Edge, type Route } from './routes.ts'

const truncated = 'results truncated due to limit'
/** Steps a range query may have: at most this many between start and end. */
const stepsMax = 11_000

export function queryRoutes(edge: Edge): Route[] {
  const { backend, clock } = edge
  const both = ['GET', 'POST']
  return [
    {
      methods: both,
      path: '/api/v1/query',
      serverOnly: true,
      handler: async (request) => {
        const { form, gone } = request
        const limit = limitOf(form)
        const timeMs = timeOr(form, 'time', clock.nowMs())
        const options = queryOptions(edge, request, limit)
        const answer = await named('query', () => backend.queries.query({ ...options, timeMs }, gone))
        return queryAnswer(answer, form.first('stats'))
      },
    },
    {
      methods: both,
      path: '/api/v1/query_range',
      serverOnly: true,
      handler: async (request) => {
        const { form, gone } = request
        const limit = limitOf(form)
        const startMs = timeOf(form, 'start')
        const endMs = timeOf(form, 'end')
        if (endMs < startMs) throw invalidParameter('end', 'end timestamp must not be before start time')
        const stepMs = wholeMs(stepOf(form))
        if (stepMs <= 0) {
          throw invalidParameter('step', 'zero or negative query resolution step widths are not accepted. Try a positive integer')
        }
        if (Math.floor((endMs - startMs) / stepMs) > stepsMax) {
          throw badRequest('exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)')
        }
        const options = queryOptions(edge, request, limit)
        const answer = await named('query', () => backend.queries.queryRange({ ...options, startMs, endMs, stepMs }, gone))
        return queryAnswer(answer, form.first('stats'))
      },
    },
    {
      methods: both,
      path: '/api/v1/query_exemplars',
      serverOnly: true,
      handler: async ({ form, signal }) => {
        const startMs = timeOr(form, 'start', minTimeMs)
        const endMs = timeOr(form, 'end', maxTimeMs)
        if (endMs < startMs) throw badRequest('end timestamp must not be before start timestamp')
        const selectors = backend.language.selectorsOf(form.first('query'))
        if (selectors.length === 0) return noContent
        const found = await backend.queries.exemplars({ selectors, startMs, endMs }, signal)
        return success(
          found.map(({ seriesLabels, exemplars }) => ({
            seriesLabels: labelsToObject(seriesLabels),
            exemplars: exemplars.map((e) => ({
              labels: labelsToObject(e.labels),
              value: formatSampleValue(e.value),
              timestamp: e.timeMs / 1000,
            })),
          })),
        )
      },
    },
    {
      methods: both,
      path: '/api/v1/format_query',
      serverOnly: true,
      handler: ({ form }) => named('query', () => success(backend.language.format(form.first('query')))),
    },
    {
      methods: both,
      path: '/api/v1/parse_query',
      serverOnly: true,
      handler: ({ form }) => named('query', () => success(backend.language.tree(form.first('query')))),
    },
    {
      methods: both,
      path: '/api/v1/labels',
      serverOnly: true,
      handler: async ({ form, gone }) => {
        const query = seriesQuery(backend.language, form)
        return listAnswer(await backend.series.listed({ ...query, kind: 'labelNames', name: '' }, gone))
      },
    },
    {
      methods: ['GET'],
      path: '/api/v1/label/:name/values',
      serverOnly: true,
      handler: async ({ form, gone, parameters }) => {
        const given = parameters['name'] ?? ''
        const name = unescapeName(given, 'values')
        if (name === '' || !name.isWellFormed() || name.includes('\ufffd')) throw badRequest(`invalid label name: ${quote(name)}`)
        const query = seriesQuery(backend.language, form)
        return listAnswer(await backend.series.listed({ ...query, kind: 'labelValues', name }, gone))
      },
    },
    {
      methods: both,
      path: '/api/v1/series',
      serverOnly: true,
      handler: async ({ form, gone }) => {
        form.demand()
        if (form.all('match[]').length === 0) throw badRequest('no match[] parameter provided')
        const query = seriesQuery(backend.language, form, true)
        return listAnswer(await backend.series.listed({ ...query, kind: 'series', name: '' }, gone))
      },
    },
  ]
}

/** Adds `invalid parameter "query":` to what the parser says. */
async function named<T>(parameter: string, run: () => T | Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (thrown) {
    if (thrown instanceof PromhiveError && thrown.code === 'PROMQL_PARSE') throw invalidParameter(parameter, thrown.message)
    throw thrown
  }
}

function stepOf(form: Form): number {
  try {
    return durationOf(form.first('step'))
  } catch (thrown) {
    throw invalidParameter('step', (thrown as Error).message)
  }
}

function queryOptions(edge: Edge, request: ApiRequest, limit: number): QueryOptions {
  const { form } = request
  const timeoutMs = durationOr(form, 'timeout')
  const lookback = form.first('lookback_delta')
  let lookbackMs: number | null = null
  if (lookback !== '') {
    try {
      lookbackMs = wholeMs(durationOf(lookback))
    } catch (thrown) {
      throw badRequest(`error parsing lookback delta duration: ${(thrown as Error).message}`)
    }
    // zero and less mean the server's own, as in Prometheus
    if (lookbackMs <= 0) lookbackMs = null
  }
  const stats = form.first('stats')
  return {
    query: form.first('query'),
    timeoutMs,
    limit,
    lookbackMs,
    stats: stats === '' ? 'none' : stats === 'all' ? 'all' : 'basic',
    origin: originOf(edge, request),
  }
}

function queryAnswer(answer: QueryAnswer, stats: string): Answer {
  const warnings = [...answer.warnings]
  if (answer.truncated) warnings.push(truncated)
  if (stats !== '' && stats !== 'true' && stats !== 'all') {
    warnings.push(
      `value ${quote(stats)} for parameter "stats" is deprecated and will be rejected in the next major release, use "true" or "all"`,
    )
  }
  return successBytes(answer.data, warnings, answer.infos)
}

/** Selectors given by match[]: each must be able to tell one series from another. */
export function matcherSets(language: QueryLanguage, texts: readonly string[]): (readonly Matcher[])[] {
  const sets = texts.map((text) => language.selector(text))
  for (const matchers of sets) {
    if (matchers.every((matcher) => compileMatcher(matcher).isEmptyMatch)) {
      throw badRequest('match[] must contain at least one non-empty matcher')
    }
  }
  return sets
}

function seriesQuery(language: QueryLanguage, form: Form, nameMatch = false): SeriesQuery {
  const limit = limitOf(form)
  const startMs = timeOr(form, 'start', minTimeMs)
  const endMs = timeOr(form, 'end', maxTimeMs)
  try {
    return { matchers: matcherSets(language, form.all('match[]')), startMs, endMs, limit }
  } catch (thrown) {
    if (nameMatch && thrown instanceof PromhiveError) throw invalidParameter('match[]', thrown.message)
    throw thrown
  }
}

function listAnswer({ data, truncated: cut, warnings, infos }: QueryAnswer): Answer {
  return successBytes(data, cut ? [...warnings, truncated] : warnings, infos)
}
