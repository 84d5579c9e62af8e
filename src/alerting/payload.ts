import { utf8Bytes } from '../base/bytes.ts'
import { calendarOf } from '../template/time.ts'
import type { OutgoingAlert } from './alert.ts'

/** Body of POST /api/v2/alerts: a JSON list of Alertmanager's PostableAlert. Source: alertmanager api/v2/openapi.yaml, prometheus notifier/util.go. */
export function encodeAlerts(alerts: readonly OutgoingAlert[]): Uint8Array {
  return utf8Bytes(
    JSON.stringify(
      alerts.map((alert) => ({
        annotations: toObject(alert.annotations),
        endsAt: alertTimeText(alert.endsAtMs),
        startsAt: alertTimeText(alert.startsAtMs),
        generatorURL: alert.generatorUrl,
        labels: toObject(alert.labels),
      })),
    ),
  )
}

function toObject(pairs: readonly string[]): Record<string, string> {
  const entries: [string, string][] = []
  for (let i = 0; i < pairs.length; i += 2) entries.push([pairs[i]!, pairs[i + 1]!])
  // fromEntries defines properties, so that a label called __proto__ is just a label
  return Object.fromEntries(entries)
}

/** RFC 3339 with milliseconds, UTC. */
export function alertTimeText(ms: number): string {
  const { year, month, day, hour, minute, second, nanos } = calendarOf(BigInt(Math.trunc(ms)) * 1_000_000n)
  const pad = (value: number, digits: number): string => String(value).padStart(digits, '0')
  return `${pad(year, 4)}-${pad(month, 2)}-${pad(day, 2)}T${pad(hour, 2)}:${pad(minute, 2)}:${pad(second, 2)}.${pad(Math.trunc(nanos / 1e6), 3)}Z`
}
