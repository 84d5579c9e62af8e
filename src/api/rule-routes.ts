// /api/v1/rules and /api/v1/alerts (FEATURES 6.22–6.24).
import { appendAll } from '../base/append-all.ts'
import { createHash } from 'node:crypto'
import type { AlertData, AlertingRuleData, RecordingRuleData, RulesData } from '../../protocols/http/prometheus-answers.ts'
import { quote, labelsToObject, labelValue, type Labels } from '../model/labels.ts'
import { compileMatchers } from '../model/matching.ts'
import { formatFloatE } from '../model/number-text.ts'
import type { AlertStatus, RuleStatus } from '../../protocols/bus/status.ts'
import { success } from './envelope.ts'
import { booleanOf, invalidParameter, type Form } from './parameters.ts'
import { matcherSets } from './query-routes.ts'
import type { Edge, Route } from './routes.ts'
import { urlForm } from './target-routes.ts'
import { timeText } from './time-text.ts'

export function ruleRoutes(edge: Edge): Route[] {
  const { rules, language } = edge.backend
  return [
    {
      methods: ['GET'],
      path: '/api/v1/alerts',
      serverOnly: true,
      handler: async () => {
        const alerts: AlertData[] = []
        for (const group of await rules.groups()) {
          for (const rule of group.rules) if (rule.kind === 'alerting') appendAll(alerts, rule.alerts.map(alertData))
        }
        return success({ alerts })
      },
    },
    {
      methods: ['GET'],
      path: '/api/v1/rules',
      serverOnly: true,
      handler: async ({ form, query }) => {
        form.demand()
        const names = new Set(form.all('rule_name[]'))
        const groupNames = new Set(form.all('rule_group[]'))
        const files = new Set(form.all('file[]'))
        const sets = matcherSets(language, form.all('match[]')).map(compileMatchers)
        const url = urlForm(query)
        const type = url.first('type').toLowerCase()
        if (type !== '' && type !== 'alert' && type !== 'record') throw invalidParameter('type', `not supported value ${quote(type)}`)
        const excludeAlerts = excludeAlertsOf(url)
        const { limit, token } = pageOf(url)
        const matches = (labels: Labels): boolean =>
          sets.length === 0 || sets.some((set) => set.every((matcher) => matcher.matches(labelValue(labels, matcher.name))))
        const wanted = (rule: RuleStatus): boolean =>
          (names.size === 0 || names.has(rule.name)) &&
          (type === '' || (type === 'alert') === (rule.kind === 'alerting')) &&
          matches(rule.labels)
        const groups: RulesData['groups'][number][] = []
        let nextToken = ''
        let found = token === ''
        for (const group of await rules.groups()) {
          if (!found) {
            if (token !== groupToken(group.file, group.name)) continue
            found = true
          }
          if (groupNames.size > 0 && !groupNames.has(group.name)) continue
          if (files.size > 0 && !files.has(group.file)) continue
          const list = group.rules.filter(wanted)
          if (list.length === 0) continue
          if (limit > 0 && groups.length === limit) {
            nextToken = groupToken(group.file, group.name)
            break
          }
          groups.push({
            name: group.name,
            file: group.file,
            rules: list.map((rule) => ruleData(rule, excludeAlerts)),
            interval: group.intervalMs / 1000,
            limit: group.limit,
            evaluationTime: group.evaluationMs / 1000,
            lastEvaluation: timeText(group.lastEvaluationMs),
          })
        }
        if (!found) throw invalidParameter('group_next_token', `invalid group_next_token '${token}'. were rule groups changed?`)
        const data: RulesData = nextToken === '' ? { groups } : { groups, groupNextToken: nextToken }
        return success(data)
      },
    },
  ]
}

/** Where a page goes on: a group keeps its token as long as it keeps its file and name. */
export function groupToken(file: string, name: string): string {
  return createHash('sha256').update(`${file};${name}`).digest('hex')
}

function excludeAlertsOf(form: Form): boolean {
  const text = form.first('exclude_alerts').toLowerCase()
  if (text === '') return false
  const value = booleanOf(text)
  if (value === null) {
    throw invalidParameter('exclude_alerts', `error converting exclude_alerts: strconv.ParseBool: parsing ${quote(text)}: invalid syntax`)
  }
  return value
}

function pageOf(form: Form): { limit: number; token: string } {
  const text = form.first('group_limit')
  const token = form.first('group_next_token')
  if (token !== '' && text === '') {
    throw invalidParameter('group_next_token', 'group_limit needs to be present in order to paginate over the groups')
  }
  if (text === '') return { limit: 0, token: '' }
  const limit = Number(text)
  if (!/^[+-]?\d+$/.test(text) || Math.abs(limit) > 0x7fffffff) {
    const why = /^[+-]?\d+$/.test(text) ? 'value out of range' : 'invalid syntax'
    throw invalidParameter('group_limit', `group_limit needs to be a valid number: strconv.ParseInt: parsing ${quote(text)}: ${why}`)
  }
  if (limit <= 0) throw invalidParameter('group_limit', 'group_limit needs to be greater than 0')
  return { limit, token }
}

function ruleData(rule: RuleStatus, excludeAlerts: boolean): RecordingRuleData | AlertingRuleData {
  const common = {
    name: rule.name,
    query: rule.query,
    labels: labelsToObject(rule.labels),
    health: rule.health,
    ...(rule.lastError !== '' && { lastError: rule.lastError }),
    evaluationTime: rule.evaluationMs / 1000,
    lastEvaluation: timeText(rule.lastEvaluationMs),
  }
  if (rule.kind === 'recording') return { ...common, type: 'recording' }
  return {
    ...common,
    type: 'alerting',
    state: rule.state,
    duration: rule.holdMs / 1000,
    keepFiringFor: rule.keepFiringMs / 1000,
    annotations: labelsToObject(rule.annotations),
    alerts: excludeAlerts ? null : rule.alerts.map(alertData),
  }
}

function alertData(alert: AlertStatus): AlertData {
  return {
    labels: labelsToObject(alert.labels),
    annotations: labelsToObject(alert.annotations),
    state: alert.state,
    activeAt: timeText(alert.activeAtMs),
    ...(alert.keepFiringSinceMs !== 0 && { keepFiringSince: timeText(alert.keepFiringSinceMs) }),
    value: formatFloatE(alert.value),
  }
}
