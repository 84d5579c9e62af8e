/** Resolves in the next turn of the event loop: sockets and timers get their chance in between. Costs about a microsecond. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** The same for a function. It keeps its thread alive until it has run. */
export function inNextTurn(task: () => void): void {
  setImmediate(task)
}
