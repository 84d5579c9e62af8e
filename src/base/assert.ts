/** Our own bug: the message starts with `BUG:`. The actor that throws it restarts from its log. Never for bad input. */
export function assert(condition: boolean, why: string): asserts condition {
  if (!condition) throw new Error(`BUG: ${why}`)
}

/** For the default branch of a switch over a closed union: the compiler proves it is never reached. */
export function unreachable(value: never): never {
  throw new Error(`BUG: unexpected ${JSON.stringify(value)}`)
}
