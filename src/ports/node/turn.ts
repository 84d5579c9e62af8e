/** Resolves in the next turn of the event loop: sockets and timers get their chance in between. Costs about a microsecond. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
