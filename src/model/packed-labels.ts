import type { Labels } from './labels.ts'

/** Label sets with every string once: cheap to clone between threads. Set i has the strings refs[ends[i − 1]] … refs[ends[i]]. */
export type PackedLabels = Readonly<{ strings: readonly string[]; refs: Uint32Array; ends: Uint32Array }>

export function packLabels(all: readonly Labels[]): PackedLabels {
  const numbers = new Map<string, number>()
  const strings: string[] = []
  let total = 0
  for (const labels of all) total += labels.length
  const refs = new Uint32Array(total)
  const ends = new Uint32Array(all.length)
  let at = 0
  for (let i = 0; i < all.length; i++) {
    for (const text of all[i]!) {
      let number = numbers.get(text)
      if (number === undefined) {
        number = strings.push(text) - 1
        numbers.set(text, number)
      }
      refs[at++] = number
    }
    ends[i] = at
  }
  return { strings, refs, ends }
}

export function unpackLabels({ strings, refs, ends }: PackedLabels): Labels[] {
  const out: Labels[] = []
  let at = 0
  for (const end of ends) {
    const labels: string[] = []
    while (at < end) labels.push(strings[refs[at++]!]!)
    out.push(labels)
  }
  return out
}
