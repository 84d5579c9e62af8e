/** A password, token or key from a configuration. It prints as `<secret>` wherever it turns up; `reveal` is the only way to the text. */
export class Secret {
  readonly #text: string
  constructor(text: string) {
    this.#text = text
  }
  get isEmpty(): boolean {
    return this.#text === ''
  }
  reveal(): string {
    return this.#text
  }
  equals(other: Secret): boolean {
    return this.#text === other.#text
  }
  toString(): string {
    return this.isEmpty ? '' : '<secret>'
  }
  toJSON(): string {
    return this.toString()
  }
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString()
  }
}

/** Whether two plain values (objects, arrays, scalars, secrets) are the same: what a reload asks before it restarts something. */
export function sameValue(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (a instanceof Secret || b instanceof Secret) return a instanceof Secret && b instanceof Secret && a.equals(b)
  if (Array.isArray(a) !== Array.isArray(b)) return false
  const keys = Object.keys(a)
  if (keys.length !== Object.keys(b).length) return false
  return keys.every((key) => Object.hasOwn(b, key) && sameValue((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key]))
}
