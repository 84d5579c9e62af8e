// Times in answers: RFC 3339 as Go's time.Time marshals it, in UTC, without the Date object.
import { calendarDay, daysOf } from '../base/calendar.ts'

/** Go's zero time: "never". */
export const zeroTime = '0001-01-01T00:00:00Z'

/** `2026-01-02T13:36:40.2Z`: trailing zeros of the fraction left out, as RFC3339Nano. 0 is "never". */
export function timeText(ms: number): string {
  if (ms === 0) return zeroTime
  const days = Math.floor(ms / 86_400_000)
  const ofDay = Math.floor(ms - days * 86_400_000)
  const { year, month, day } = calendarDay(days)
  const two = (n: number): string => String(n).padStart(2, '0')
  const fraction = ofDay % 1000
  const tail = fraction === 0 ? '' : `.${String(fraction).padStart(3, '0').replace(/0+$/, '')}`
  const clock = `${two(Math.floor(ofDay / 3_600_000))}:${two(Math.floor(ofDay / 60_000) % 60)}:${two(Math.floor(ofDay / 1000) % 60)}`
  return `${String(year).padStart(4, '0')}-${two(month)}-${two(day)}T${clock}${tail}Z`
}

const rfc3339 = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(Z|[+-]\d\d:\d\d)$/

/** Milliseconds, fractions of one cut off; null where the text is no RFC 3339 time. */
export function parseRfc3339(text: string): number | null {
  const parts = rfc3339.exec(text)
  if (parts === null) return null
  const [year, month, day, hour, minute, second] = parts.slice(1, 7).map(Number) as [number, number, number, number, number, number]
  if (month < 1 || month > 12 || day < 1 || day > daysIn(year, month) || hour > 23 || minute > 59 || second > 59) return null
  const zone = parts[8]!
  let offsetMinutes = 0
  if (zone !== 'Z') {
    const hours = Number(zone.slice(1, 3))
    const minutes = Number(zone.slice(4, 6))
    if (hours > 24 || minutes > 60) return null
    offsetMinutes = (zone[0] === '-' ? -1 : 1) * (hours * 60 + minutes)
  }
  const ms = Number((parts[7] ?? '').slice(0, 3).padEnd(3, '0'))
  return daysOf(year, month, day) * 86_400_000 + (hour * 3600 + (minute - offsetMinutes) * 60 + second) * 1000 + ms
}

function daysIn(year: number, month: number): number {
  if (month === 2) return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0 ? 29 : 28
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31
}
