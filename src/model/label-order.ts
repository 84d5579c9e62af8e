// Many label sets in order: by their first text into groups, the groups in order, and so on within each. Texts repeat a lot, so few are compared.
import { compareLabels, compareText, type Labels } from './labels.ts'

/** Groups of so many or fewer are sorted by comparing label sets. */
const compareMax = 24

/** Positions of label sets in the order of `compareLabels`; equal ones in the order given. */
export function orderOf(labels: readonly Labels[]): Int32Array {
  const rows = new Int32Array(labels.length)
  for (let i = 0; i < rows.length; i++) rows[i] = i
  if (rows.length > 1) sortRange(labels, rows, 0, rows.length, 0)
  return rows
}

/** Sorts rows[from, to), whose label sets are the same before `depth`. */
function sortRange(labels: readonly Labels[], rows: Int32Array, from: number, to: number, depth: number): void {
  let at = depth
  // what all of them share needs no groups
  for (;;) {
    if (to - from <= compareMax) return insertionSort(labels, rows, from, to)
    const text = labels[rows[from]!]![at]
    let same = from + 1
    while (same < to && labels[rows[same]!]![at] === text) same++
    if (same < to) break
    if (text === undefined) return
    at++
  }
  const groups = new Map<string | undefined, number[]>()
  for (let i = from; i < to; i++) {
    const text = labels[rows[i]!]![at]
    const group = groups.get(text)
    if (group === undefined) groups.set(text, [rows[i]!])
    else group.push(rows[i]!)
  }
  const texts: string[] = []
  for (const text of groups.keys()) if (text !== undefined) texts.push(text)
  texts.sort(compareText)
  let next = from
  // a label set that ends here comes before those it is a prefix of
  for (const row of groups.get(undefined) ?? []) rows[next++] = row
  for (const text of texts) {
    const start = next
    for (const row of groups.get(text)!) rows[next++] = row
    if (next - start > 1) sortRange(labels, rows, start, next, at + 1)
  }
}

function insertionSort(labels: readonly Labels[], rows: Int32Array, from: number, to: number): void {
  for (let i = from + 1; i < to; i++) {
    const row = rows[i]!
    const own = labels[row]!
    let j = i
    while (j > from && compareLabels(labels[rows[j - 1]!]!, own) > 0) {
      rows[j] = rows[j - 1]!
      j--
    }
    rows[j] = row
  }
}
