// Closed time intervals of deleted samples. Source: prometheus tsdb/tombstones/tombstones.go.

/** Both ends belong to it; ms, ±Infinity where it has no end. */
export type Interval = Readonly<{ minTime: number; maxTime: number }>

/** Adds one to intervals that are sorted and apart; what touches becomes one. A new array. */
export function withInterval(intervals: readonly Interval[], added: Interval): Interval[] {
  let { minTime, maxTime } = added
  const before: Interval[] = []
  const after: Interval[] = []
  for (const interval of intervals) {
    if (interval.maxTime < minTime - 1) before.push(interval)
    else if (interval.minTime > maxTime + 1) after.push(interval)
    else {
      minTime = Math.min(minTime, interval.minTime)
      maxTime = Math.max(maxTime, interval.maxTime)
    }
  }
  return [...before, { minTime, maxTime }, ...after]
}

/** Whether one interval covers the whole range. */
export function covers(intervals: readonly Interval[], minTime: number, maxTime: number): boolean {
  return intervals.some((interval) => interval.minTime <= minTime && interval.maxTime >= maxTime)
}

export function overlapsAny(intervals: readonly Interval[], minTime: number, maxTime: number): boolean {
  return intervals.some((interval) => interval.minTime <= maxTime && interval.maxTime >= minTime)
}
