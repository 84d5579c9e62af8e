/** Work that stops at every `yield`, where its budget asks it to pause (Budget.takePause), and goes on when it is called again. */
export type Steps<T> = Generator<void, T>

/** Runs it to its end at once. */
export function finished<T>(steps: Steps<T>): T {
  for (;;) {
    const step = steps.next()
    if (step.done === true) return step.value
  }
}
