// What is wrong with a file, and where. Every parser of this folder gives a list of these and never throws on text.

/** Line and column count from 1; 0 where the problem is about the file as a whole. `path` is '' or such as `scrape_configs[0].job_name`. */
export type ConfigProblem = Readonly<{ file: string; line: number; column: number; path: string; message: string }>

/** `prometheus.yml:12:5: scrape_configs[0].scrape_interval: not a valid duration string: "abc"`. */
export function printProblem(problem: ConfigProblem): string {
  const place = problem.line > 0 ? `${problem.file}:${problem.line}:${problem.column}` : problem.file
  return problem.path === '' ? `${place}: ${problem.message}` : `${place}: ${problem.path}: ${problem.message}`
}

/** The known name nearest to a misspelt one, or null where none is near. */
export function nearestName(name: string, known: Iterable<string>): string | null {
  let best: string | null = null
  let bestDistance = Math.min(4, Math.floor(name.length / 3) + 1)
  for (const candidate of known) {
    if (Math.abs(candidate.length - name.length) > bestDistance) continue
    const distance = editDistance(name, candidate)
    if (distance <= bestDistance && (best === null || distance < bestDistance)) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

/** Insertions, removals, replacements and swaps of neighbours that make one text of the other. */
function editDistance(a: string, b: string): number {
  if (a.length > 100 || b.length > 100) return a === b ? 0 : 100
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1]
      let cost = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + (same ? 0 : 1))
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) cost = Math.min(cost, beforeLast[j - 2]! + 1)
      row.push(cost)
    }
    beforeLast = last
    last = row
  }
  return last[b.length]!
}
