import { calendarDay, daysOf } from '../base/calendar.ts'
import type { Methods } from './value.ts'
import { DurationValue, FunctionError, TimeValue } from './value.ts'

/** Go's time.Time (always UTC) and time.Duration: how they print, and the methods templates can call. */

const secondNanos = 1_000_000_000n
const dayMs = 86_400_000
const months = ['January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October', 'November', 'December']
const weekdays = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday']
const zeroTimeNanos = -62_135_596_800n * secondNanos

export type CalendarTime = Readonly<{
  year: number
  /** 1 … 12 */
  month: number
  day: number
  hour: number
  minute: number
  second: number
  nanos: number
  /** 0 = Sunday */
  weekday: number
  /** 1 … 366 */
  yearDay: number
}>

function floorDivide(value: bigint, by: bigint): bigint {
  const quotient = value / by
  return value % by < 0n ? quotient - 1n : quotient
}

/** Proleptic Gregorian, UTC. */
export function calendarOf(nanos: bigint): CalendarTime {
  const seconds = floorDivide(nanos, secondNanos)
  const days = Number(floorDivide(seconds, 86_400n))
  const ofDay = Number(seconds - BigInt(days) * 86_400n)
  const { year, month, day } = calendarDay(days)
  return {
    year,
    month,
    day,
    hour: Math.floor(ofDay / 3600),
    minute: Math.floor(ofDay / 60) % 60,
    second: ofDay % 60,
    nanos: Number(nanos - seconds * secondNanos),
    weekday: (((days + 4) % 7) + 7) % 7,
    yearDay: days - daysOf(year, 1, 1) + 1,
  }
}

/** Time.String: `2015-11-05 12:00:00.123 +0000 UTC`. */
export function printTime(nanos: bigint): string {
  return formatTime(nanos, '2006-01-02 15:04:05.999999999 -0700 MST')
}

const layoutWord = /2006|January|Jan|Monday|Mon|MST|__2|002|01|02|03|04|05|06|15|_2|Z070000|Z07:00:00|Z0700|Z07:00|Z07|-070000|-07:00:00|-0700|-07:00|-07|PM|pm|[.,]0+(?![0-9])|[.,]9+(?![0-9])|1|2|3|4|5/g // prettier-ignore

/** Time.Format with Go's reference layout; the zone is UTC. */
export function formatTime(nanos: bigint, layout: string): string {
  const time = calendarOf(nanos)
  const two = (value: number): string => String(value).padStart(2, '0')
  const hour12 = time.hour % 12 === 0 ? 12 : time.hour % 12
  return layout.replace(layoutWord, (word: string, offset: number) => {
    switch (word) {
      case '2006':
        return time.year < 0 ? `-${String(-time.year).padStart(4, '0')}` : String(time.year).padStart(4, '0')
      case '06':
        return two(((time.year % 100) + 100) % 100)
      case 'January':
        return months[time.month - 1]!
      case 'Jan':
        // "Janet" is not a month; Go looks at the next letter
        return /^[a-z]/.test(layout.slice(offset + 3)) ? word : months[time.month - 1]!.slice(0, 3)
      case 'Monday':
        return weekdays[time.weekday]!
      case 'Mon':
        return /^[a-z]/.test(layout.slice(offset + 3)) ? word : weekdays[time.weekday]!.slice(0, 3)
      case 'MST':
        return 'UTC'
      case '01':
        return two(time.month)
      case '1':
        return String(time.month)
      case '02':
        return two(time.day)
      case '_2':
        return String(time.day).padStart(2, ' ')
      case '2':
        return String(time.day)
      case '__2':
        return String(time.yearDay).padStart(3, ' ')
      case '002':
        return String(time.yearDay).padStart(3, '0')
      case '15':
        return two(time.hour)
      case '03':
        return two(hour12)
      case '3':
        return String(hour12)
      case '04':
        return two(time.minute)
      case '4':
        return String(time.minute)
      case '05':
        return two(time.second)
      case '5':
        return String(time.second)
      case 'PM':
        return time.hour >= 12 ? 'PM' : 'AM'
      case 'pm':
        return time.hour >= 12 ? 'pm' : 'am'
      case '-0700':
        return '+0000'
      case '-07:00':
        return '+00:00'
      case '-07':
        return '+00'
      case '-070000':
        return '+000000'
      case '-07:00:00':
        return '+00:00:00'
    }
    if (word.startsWith('Z')) return 'Z'
    const digits = String(time.nanos)
      .padStart(9, '0')
      .slice(0, word.length - 1)
    if (word[1] === '0') return word[0]! + digits.padEnd(word.length - 1, '0')
    const trimmed = digits.replace(/0+$/, '')
    return trimmed === '' ? '' : word[0]! + trimmed
  })
}

/** Duration.String: `1h2m3.5s`, `1.5µs`, `0s`. */
export function printDuration(nanos: bigint): string {
  if (nanos === 0n) return '0s'
  const sign = nanos < 0n ? '-' : ''
  const size = nanos < 0n ? -nanos : nanos
  const fraction = (unit: bigint, digits: number): string => {
    const rest = (size % unit).toString().padStart(digits, '0').replace(/0+$/, '')
    return rest === '' ? '' : `.${rest}`
  }
  if (size < 1_000n) return `${sign}${size}ns`
  if (size < 1_000_000n) return `${sign}${size / 1_000n}${fraction(1_000n, 3)}µs`
  if (size < secondNanos) return `${sign}${size / 1_000_000n}${fraction(1_000_000n, 6)}ms`
  const seconds = size / secondNanos
  const minutes = seconds / 60n
  const hours = minutes / 60n
  const head = hours > 0n ? `${hours}h${minutes % 60n}m` : minutes > 0n ? `${minutes}m` : ''
  return `${sign}${head}${seconds % 60n}${fraction(secondNanos, 9)}s`
}

function timeIn(value: unknown): bigint {
  if (value instanceof TimeValue) return value.nanos
  throw new FunctionError('not a time')
}
const int = (pick: (time: CalendarTime) => number): ((time: TimeValue) => bigint) => {
  return (time) => BigInt(pick(calendarOf(time.nanos)))
}
const noParams: readonly string[] = []

export const timeMethods: Methods<TimeValue> = {
  Year: { params: noParams, call: int((t) => t.year) },
  Day: { params: noParams, call: int((t) => t.day) },
  Hour: { params: noParams, call: int((t) => t.hour) },
  Minute: { params: noParams, call: int((t) => t.minute) },
  Second: { params: noParams, call: int((t) => t.second) },
  Nanosecond: { params: noParams, call: int((t) => t.nanos) },
  YearDay: { params: noParams, call: int((t) => t.yearDay) },
  Month: { params: noParams, call: (t) => months[calendarOf(t.nanos).month - 1]! },
  Weekday: { params: noParams, call: (t) => weekdays[calendarOf(t.nanos).weekday]! },
  Unix: { params: noParams, call: (t) => floorDivide(t.nanos, secondNanos) },
  UnixMilli: { params: noParams, call: (t) => floorDivide(t.nanos, 1_000_000n) },
  UnixMicro: { params: noParams, call: (t) => floorDivide(t.nanos, 1_000n) },
  UnixNano: { params: noParams, call: (t) => t.nanos },
  UTC: { params: noParams, call: (t) => new TimeValue(t.nanos) },
  Local: { params: noParams, call: (t) => new TimeValue(t.nanos) },
  String: { params: noParams, call: (t) => printTime(t.nanos) },
  IsZero: { params: noParams, call: (t) => t.nanos === zeroTimeNanos },
  Format: { params: ['string'], call: (t, [layout]) => formatTime(t.nanos, layout as string) },
  Add: { params: ['time.Duration'], call: (t, [by]) => new TimeValue(t.nanos + (by as DurationValue).nanos) },
  AddDate: {
    params: ['int', 'int', 'int'],
    call: (t, [years, monthsMore, days]) => addDate(t.nanos, Number(years), Number(monthsMore), Number(days)),
  },
  Sub: { params: ['time.Time'], call: (t, [other]) => new DurationValue(t.nanos - timeIn(other)) },
  Before: { params: ['time.Time'], call: (t, [other]) => t.nanos < timeIn(other) },
  After: { params: ['time.Time'], call: (t, [other]) => t.nanos > timeIn(other) },
  Equal: { params: ['time.Time'], call: (t, [other]) => t.nanos === timeIn(other) },
  Compare: { params: ['time.Time'], call: (t, [other]) => (t.nanos < timeIn(other) ? -1n : t.nanos > timeIn(other) ? 1n : 0n) },
  Truncate: { params: ['time.Duration'], call: (t, [by]) => new TimeValue(t.nanos - remainder(t.nanos, (by as DurationValue).nanos)) },
}

/** Since year 1, as Go counts it. */
function remainder(nanos: bigint, by: bigint): bigint {
  return by <= 0n ? 0n : (nanos - zeroTimeNanos) % by
}

function addDate(nanos: bigint, years: number, monthsMore: number, days: number): TimeValue {
  const time = calendarOf(nanos)
  const monthIndex = time.month - 1 + monthsMore
  const year = time.year + years + Math.floor(monthIndex / 12)
  const month = ((monthIndex % 12) + 12) % 12
  if (!(Math.abs(year) < 200_000) || !(Math.abs(days) < 1e8)) throw new FunctionError('date out of range')
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
  const before = [0, 31, leap ? 60 : 59, leap ? 91 : 90, leap ? 121 : 120, leap ? 152 : 151, leap ? 182 : 181, leap ? 213 : 212, leap ? 244 : 243, leap ? 274 : 273, leap ? 305 : 304, leap ? 335 : 334] // prettier-ignore
  const ofDay = nanos - floorDivide(nanos, BigInt(dayMs) * 1_000_000n) * BigInt(dayMs) * 1_000_000n
  return new TimeValue(BigInt(daysOf(year, 1, 1) + before[month]! + time.day - 1 + days) * BigInt(dayMs) * 1_000_000n + ofDay)
}

/** Go's division: towards zero, whole part and fraction apart so that large values keep their digits. */
function inUnits(nanos: bigint, unit: bigint): number {
  return Number(nanos / unit) + Number(nanos % unit) / Number(unit)
}

export const durationMethods: Methods<DurationValue> = {
  Seconds: { params: noParams, call: (d) => inUnits(d.nanos, secondNanos) },
  Minutes: { params: noParams, call: (d) => inUnits(d.nanos, 60n * secondNanos) },
  Hours: { params: noParams, call: (d) => inUnits(d.nanos, 3600n * secondNanos) },
  Milliseconds: { params: noParams, call: (d) => d.nanos / 1_000_000n },
  Microseconds: { params: noParams, call: (d) => d.nanos / 1_000n },
  Nanoseconds: { params: noParams, call: (d) => d.nanos },
  Abs: { params: noParams, call: (d) => new DurationValue(d.nanos < 0n ? -d.nanos : d.nanos) },
  String: { params: noParams, call: (d) => printDuration(d.nanos) },
  Truncate: { params: ['time.Duration'], call: (d, [by]) => new DurationValue(d.nanos - truncated(d.nanos, (by as DurationValue).nanos)) },
  Round: {
    params: ['time.Duration'],
    call: (d, [by]) => {
      const unit = (by as DurationValue).nanos
      const rest = truncated(d.nanos, unit)
      const size = rest < 0n ? -rest : rest
      return new DurationValue(d.nanos - rest + (unit > 0n && size * 2n >= unit ? (rest < 0n ? -unit : unit) : 0n))
    },
  },
}

function truncated(nanos: bigint, by: bigint): bigint {
  return by <= 0n ? 0n : nanos % by
}
