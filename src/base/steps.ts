/** What a step may ask to be done, off this thread, before the next one. */
export type Pause = (() => Promise<void>) | undefined

/**
 * Work in steps, so that other work of a thread runs between them. A runner that has waited for a pause sends `true` into the next step; one that does not
 * wait sends nothing, and the step does the work itself. `return()` gives the work up: its `finally` tidies away what was begun.
 */
export type Steps<T = void> = Generator<Pause, T, boolean | undefined>

/** Takes all steps now. */
export function finishSteps<T>(steps: Steps<T>): T {
  for (;;) {
    const { done, value } = steps.next()
    if (done === true) return value
  }
}

/** Takes the steps for as long as `holds` says so after each pause; null where they were given up. */
export function* stepsWhile<T>(steps: Steps<T>, holds: () => boolean): Steps<Readonly<{ value: T }> | null> {
  let ended = false
  try {
    let result = steps.next()
    while (result.done !== true) {
      let waited: boolean | undefined
      try {
        waited = yield result.value
      } catch (thrown) {
        result = steps.throw(thrown)
        continue
      }
      if (!holds()) return null
      result = steps.next(waited)
    }
    ended = true
    return { value: result.value }
  } finally {
    // a generator that has thrown has ended by itself: then this does nothing
    if (!ended) steps.return(undefined as T)
  }
}

/** Sorts in place as `list.sort(compare)` does, a few thousand comparisons a step. */
export function* sortSteps<T>(list: T[], compare: (a: T, b: T) => number): Steps {
  for (let from = 0; from < list.length; from += runLength) {
    const run = list.slice(from, from + runLength).sort(compare)
    for (let i = 0; i < run.length; i++) list[from + i] = run[i]!
    yield
  }
  let source = list
  let target = new Array<T>(list.length)
  for (let width = runLength; width < list.length; width *= 2) {
    for (let from = 0; from < list.length; from += width * 2) {
      const middle = Math.min(from + width, list.length)
      const end = Math.min(from + width * 2, list.length)
      let a = from
      let b = middle
      for (let i = from; i < end; i++) {
        if (a < middle && (b >= end || compare(source[a]!, source[b]!) <= 0)) target[i] = source[a++]!
        else target[i] = source[b++]!
        if ((i & (stepLength - 1)) === 0) yield
      }
    }
    ;[source, target] = [target, source]
  }
  if (source !== list) for (let i = 0; i < list.length; i++) list[i] = source[i]!
}

const runLength = 1024
const stepLength = 4096
