// /api/v1: targets, scrape pools, metadata, Alertmanagers (FEATURES 6.16–6.21, 6.25).
import type { AlertmanagersData, MetadataData, TargetMetadataData, TargetsData } from '../../protocols/http/prometheus-answers.ts'
import { PromhiveError } from '../base/errors.ts'
import { compareText, labelsFrom, labelsToObject, labelValue, type Labels } from '../model/labels.ts'
import type { Matcher } from '../model/matcher.ts'
import { compileMatchers } from '../model/matching.ts'
import { success, successText } from './envelope.ts'
import { globalUrl } from './global-url.ts'
import { badRequest, Form, integerOf, invalidParameter } from './parameters.ts'
import type { Edge, Route } from './routes.ts'
import { timeText } from './time-text.ts'

export function targetRoutes(edge: Edge): Route[] {
  const { backend, options } = edge
  const { targets, language } = backend
  const get = ['GET']
  return [
    {
      methods: get,
      path: '/api/v1/scrape_pools',
      handler: async () => success({ scrapePools: [...(await targets.scrapePools())].sort(compareText) }),
    },
    {
      methods: get,
      path: '/api/v1/scrape_pools/config',
      handler: async ({ form }) => {
        const pool = demanded(form, 'scrapePool')
        return success({ yaml: await ofPool(() => targets.scrapePoolConfig(pool)) })
      },
    },
    {
      methods: get,
      path: '/api/v1/targets',
      handler: async ({ query }) => {
        const form = urlForm(query)
        const pool = form.first('scrapePool')
        const state = form.first('state').toLowerCase()
        const any = state === '' || state === 'any'
        const wanted = (target: { scrapePool: string }): boolean => pool === '' || target.scrapePool === pool
        const active = any || state === 'active' ? (await targets.active()).filter(wanted) : []
        const dropped = any || state === 'dropped' ? (await targets.dropped()).filter(wanted) : []
        const byPool = (a: { scrapePool: string }, b: { scrapePool: string }): number => compareText(a.scrapePool, b.scrapePool)
        const data: TargetsData = {
          activeTargets: active.sort(byPool).map((target) => ({
            discoveredLabels: labelsToObject(target.discoveredLabels),
            labels: labelsToObject(target.labels),
            scrapePool: target.scrapePool,
            scrapeUrl: target.scrapeUrl,
            globalUrl: globalUrl(target.scrapeUrl, options.listenAddresses[0]!, options.externalUrl),
            lastError: target.lastError,
            lastScrape: timeText(target.lastScrapeMs),
            lastScrapeDuration: target.lastScrapeDurationMs / 1000,
            health: target.health,
            scrapeInterval: target.scrapeInterval,
            scrapeTimeout: target.scrapeTimeout,
          })),
          droppedTargets: dropped
            .sort(byPool)
            .map((target) => ({ discoveredLabels: labelsToObject(target.discoveredLabels), scrapePool: target.scrapePool })),
          droppedTargetCounts: any || state === 'dropped' ? await targets.droppedCounts() : null,
        }
        return success(data)
      },
    },
    {
      methods: get,
      path: '/api/v1/targets/metadata',
      handler: async ({ form }) => {
        const limit = countOf(form, 'limit')
        const matches = targetMatcher(form.first('match_target'), language.selector)
        const metric = form.first('metric')
        const data: TargetMetadataData[number][] = []
        for (const { target, entries } of await targets.metadata(metric)) {
          // a target that has begun is finished, as in Prometheus
          if (limit >= 0 && data.length >= limit) break
          if (!matches(target)) continue
          const labels = labelsToObject(target)
          for (const { metric: name, type, help, unit } of entries) {
            data.push(metric === '' ? { target: labels, metric: name, type, help, unit } : { target: labels, type, help, unit })
          }
        }
        return success(data)
      },
    },
    {
      methods: get,
      path: '/api/v1/targets/relabel_steps',
      handler: async ({ form }) => {
        const pool = demanded(form, 'scrapePool')
        const labels = labelsOf(demanded(form, 'labels'))
        const steps = await ofPool(() => targets.relabelSteps(pool, labels))
        return success({ steps: steps.map(({ rule, output, keep }) => ({ rule, output: labelsToObject(output), keep })) })
      },
    },
    {
      methods: get,
      path: '/api/v1/alertmanagers',
      serverOnly: true,
      handler: async () => {
        const { active, dropped } = await targets.alertmanagers()
        const data: AlertmanagersData = {
          activeAlertmanagers: active.map((url) => ({ url })),
          droppedAlertmanagers: dropped.map((url) => ({ url })),
        }
        return success(data)
      },
    },
    {
      methods: get,
      path: '/api/v1/metadata',
      handler: async ({ form }) => {
        const limit = countOf(form, 'limit')
        const perMetric = countOf(form, 'limit_per_metric')
        const metric = form.first('metric')
        const byMetric = new Map<string, Map<string, MetadataData[string][number]>>()
        for (const { entries } of await targets.metadata(metric)) {
          for (const { metric: name, type, help, unit } of entries) {
            let known = byMetric.get(name)
            if (perMetric > 0 && known !== undefined && known.size >= perMetric) continue
            if (known === undefined) byMetric.set(name, (known = new Map()))
            known.set(`${type}\xff${unit}\xff${help}`, { type, help, unit })
          }
        }
        const parts: string[] = []
        for (const [name, entries] of byMetric) {
          if (limit >= 0 && parts.length >= limit) break
          parts.push(`${JSON.stringify(name)}:${JSON.stringify([...entries.values()])}`)
        }
        return successText(`{${parts.join(',')}}`)
      },
    },
  ]
}

function demanded(form: Form, name: string): string {
  const value = form.first(name)
  if (value === '') throw badRequest(`no ${name} parameter provided`)
  return value
}

async function ofPool<T>(run: () => T | Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (thrown) {
    if (thrown instanceof PromhiveError) throw badRequest(`error retrieving scrape config: ${thrown.message}`)
    throw thrown
  }
}

/** These routes read the URL alone. */
export function urlForm(query: string): Form {
  const form = new Form()
  form.add(query)
  return form
}

/** −1: none. */
function countOf(form: Form, name: string): number {
  const text = form.first(name)
  if (text === '') return -1
  try {
    return integerOf(text)
  } catch {
    throw badRequest(`${name} must be a number`)
  }
}

function targetMatcher(text: string, selector: (text: string) => readonly Matcher[]): (labels: Labels) => boolean {
  if (text === '') return () => true
  try {
    const matchers = compileMatchers(selector(text))
    return (labels) => matchers.every((matcher) => matcher.matches(labelValue(labels, matcher.name)))
  } catch (thrown) {
    if (thrown instanceof PromhiveError) throw invalidParameter('match_target', thrown.message)
    throw thrown
  }
}

function labelsOf(text: string): Labels {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (thrown) {
    throw badRequest(`error parsing labels: ${(thrown as Error).message}`)
  }
  if (value === null || typeof value !== 'object' || Array.isArray(value))
    throw badRequest('error parsing labels: expected an object of strings')
  const pairs = Object.entries(value as Record<string, unknown>)
  for (const [name, label] of pairs) {
    if (typeof label !== 'string') throw badRequest(`error parsing labels: the value of ${JSON.stringify(name)} is not a string`)
  }
  return labelsFrom(pairs as [string, string][])
}
