// UTC calendar of Unix seconds, by arithmetic: the functions year() … minute(), and times in annotations.

export type Calendar = { year: number; month: number; day: number; hour: number; minute: number; second: number; days: number }

/**
 * @param seconds whole seconds since the epoch, of any size; `days` is the count of days since the epoch.
 * Source of the day arithmetic: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms" (civil_from_days).
 */
export function calendarOf(seconds: number): Calendar {
  const days = Math.floor(seconds / 86400)
  const rest = seconds - days * 86400
  const shifted = days + 719468 // days since 0000-03-01
  const era = Math.floor(shifted / 146097)
  const dayOfEra = shifted - era * 146097
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36524) - Math.floor(dayOfEra / 146096)) / 365,
  )
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100)) // from March 1st
  const shiftedMonth = Math.floor((5 * dayOfYear + 2) / 153)
  const month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
  return {
    year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0),
    month,
    day: dayOfYear - Math.floor((153 * shiftedMonth + 2) / 5) + 1,
    hour: Math.floor(rest / 3600),
    minute: Math.floor((rest % 3600) / 60),
    second: rest % 60,
    days,
  }
}

export function isLeapYear(year: number): boolean {
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
}

const daysBefore = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334]
const daysIn = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

/**
 * What the functions give for NaN, infinities and seconds beyond 64 bits: Go turns all of them into the smallest int64, and its calendar wraps
 * around from there. Nobody wants these numbers, but answers are the same.
 */
export const calendarBeyond: Readonly<Record<string, number>> = {
  year: 292277026596,
  month: 12,
  day_of_month: 4,
  day_of_week: 0,
  day_of_year: 339,
  days_in_month: 31,
  hour: 15,
  minute: 30,
}

/** The PromQL functions of the calendar. The argument is whole seconds. */
export const calendarFunctions: Readonly<Record<string, (seconds: number) => number>> = {
  year: (seconds) => calendarOf(seconds).year,
  month: (seconds) => calendarOf(seconds).month,
  day_of_month: (seconds) => calendarOf(seconds).day,
  day_of_week: (seconds) => {
    const weekday = (calendarOf(seconds).days + 4) % 7 // the epoch was a Thursday
    return weekday < 0 ? weekday + 7 : weekday + 0 // no −0
  },
  day_of_year: (seconds) => {
    const { year, month, day } = calendarOf(seconds)
    return daysBefore[month - 1]! + day + (month > 2 && isLeapYear(year) ? 1 : 0)
  },
  days_in_month: (seconds) => {
    const { year, month } = calendarOf(seconds)
    return daysIn[month - 1]! + (month === 2 && isLeapYear(year) ? 1 : 0)
  },
  hour: (seconds) => calendarOf(seconds).hour,
  minute: (seconds) => calendarOf(seconds).minute,
}
