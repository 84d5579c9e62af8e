// Appending a list whose length comes from outside: `push(...items)` puts every item on the call stack, which overflows at some 100,000.

/** Appends all items, in order. */
export function appendAll<T>(into: T[], items: Iterable<T>): void {
  for (const item of items) into.push(item)
}
