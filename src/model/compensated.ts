/**
 * One Kahan–Neumaier sum: `sum + rest` is the value. Bit-equal to prometheus util/kahansum: an infinite sum drops the rest.
 * For single sums; loops over columns carry sum and rest in locals instead.
 */
export class Compensated {
  sum = 0
  rest = 0
  set(sum: number, rest: number): void {
    this.sum = sum
    this.rest = rest
  }
  add(value: number): void {
    const sum = this.sum
    const next = sum + value
    if (next === Infinity || next === -Infinity) this.rest = 0
    else if (Math.abs(sum) >= Math.abs(value)) this.rest += sum - next + value
    else this.rest += value - next + sum
    this.sum = next
  }
}
