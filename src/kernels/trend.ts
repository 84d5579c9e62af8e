// deriv, predict_linear and double_exponential_smoothing on floats. Source of the arithmetic: prometheus promql/functions.go.
import type { WindowFrame } from './window.ts'

/**
 * Least squares through every window of at least 2 samples: its slope per second (deriv), or with `predict` the value params[0][k] seconds
 * after the evaluation time (predict_linear).
 */
export function regressionOverTime(frame: WindowFrame, from: number, to: number, predict: boolean): void {
  const { times, values, lo, hi, out, present, base, params, evalStartMs, evalStepMs } = frame
  for (let k = from; k < to; k++) {
    const a = lo[k]!
    const b = hi[k]!
    if (b - a < 2) continue
    present[base + k] = 1
    const origin = predict ? evalStartMs + k * evalStepMs : times[a]!
    const first = values[a]!
    let constant = true
    let sumX = 0
    let restX = 0
    let sumY = 0
    let restY = 0
    let sumXY = 0
    let restXY = 0
    let sumXX = 0
    let restXX = 0
    for (let i = a; i < b; i++) {
      const y = values[i]!
      if (y !== first) constant = false
      const x = (times[i]! - origin) / 1e3
      let next = sumX + x
      if (next === Infinity || next === -Infinity) restX = 0
      else restX += Math.abs(sumX) >= Math.abs(x) ? sumX - next + x : x - next + sumX
      sumX = next
      next = sumY + y
      if (next === Infinity || next === -Infinity) restY = 0
      else restY += Math.abs(sumY) >= Math.abs(y) ? sumY - next + y : y - next + sumY
      sumY = next
      const xy = x * y
      next = sumXY + xy
      if (next === Infinity || next === -Infinity) restXY = 0
      else restXY += Math.abs(sumXY) >= Math.abs(xy) ? sumXY - next + xy : xy - next + sumXY
      sumXY = next
      const xx = x * x
      next = sumXX + xx
      if (next === Infinity || next === -Infinity) restXX = 0
      else restXX += Math.abs(sumXX) >= Math.abs(xx) ? sumXX - next + xx : xx - next + sumXX
      sumXX = next
    }
    if (first !== first) constant = false // NaN is never equal to itself, only the first sample is not compared
    let slope = 0
    let intercept = first
    if (constant) {
      if (first === Infinity || first === -Infinity) slope = intercept = NaN
    } else {
      sumX += restX
      sumY += restY
      sumXY += restXY
      sumXX += restXX
      const count = b - a
      slope = (sumXY - (sumX * sumY) / count) / (sumXX - (sumX * sumX) / count)
      intercept = sumY / count - (slope * sumX) / count
    }
    out[base + k] = predict ? slope * params[0]![k]! + intercept : slope
  }
}

/** Holt's linear smoothing of every window of at least 2 samples, with smoothing factor params[0][k] and trend factor params[1][k]. */
export function smoothingOverTime(frame: WindowFrame, from: number, to: number): void {
  const { values, lo, hi, out, present, base, params } = frame
  for (let k = from; k < to; k++) {
    const a = lo[k]!
    const b = hi[k]!
    if (b - a < 2) continue
    const smoothing = params[0]![k]!
    const trendFactor = params[1]![k]!
    let before = 0
    let level = values[a]!
    let trend = values[a + 1]! - values[a]!
    for (let i = 1; i < b - a; i++) {
      const scaled = smoothing * values[a + i]!
      if (i > 1) trend = trendFactor * (level - before) + (1 - trendFactor) * trend
      const next = scaled + (1 - smoothing) * (level + trend)
      before = level
      level = next
    }
    out[base + k] = level
    present[base + k] = 1
  }
}
