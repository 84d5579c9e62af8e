/**
 * Checks of small JSON files that the program wrote itself: meta.json of a block, the layout of a data directory. A schema library would do, but the
 * ones there are take some 20 MB and 30 ms in every thread that loads them.
 */

/** A value that has been checked, or the first problem: `stats.numSeries: not an integer ≥ 0`. */
export class ShapeError extends Error {
  override readonly name = 'ShapeError'
}

export type Shape<T> = (value: unknown, path: string) => T

export function fail(path: string, why: string): never {
  throw new ShapeError(path === '' ? why : `${path}: ${why}`)
}

export const integer: Shape<number> = (value, path) => (Number.isSafeInteger(value) ? (value as number) : fail(path, 'not an integer'))
export const count: Shape<number> = (value, path) =>
  Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : fail(path, 'not an integer ≥ 0')
export const flag: Shape<boolean> = (value, path) => (typeof value === 'boolean' ? value : fail(path, 'not true or false'))
export const text: Shape<string> = (value, path) => (typeof value === 'string' ? value : fail(path, 'not a string'))

export function textOf(is: (value: string) => boolean, what: string): Shape<string> {
  return (value, path) => (typeof value === 'string' && is(value) ? value : fail(path, `not ${what}`))
}

/** The default stands for a member that is missing. */
export function withDefault<T>(shape: Shape<T>, otherwise: T): Shape<T> {
  return (value, path) => (value === undefined ? otherwise : shape(value, path))
}

export function list<T>(item: Shape<T>): Shape<T[]> {
  return (value, path) => (Array.isArray(value) ? value.map((one: unknown, i) => item(one, `${path}[${i}]`)) : fail(path, 'not a list'))
}

/** Members that are not named are left out. */
export function object<T extends Record<string, Shape<unknown>>>(members: T): Shape<{ [K in keyof T]: ReturnType<T[K]> }> {
  return (value, path) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) fail(path, 'not an object')
    const given = value as Record<string, unknown>
    const out: Record<string, unknown> = {}
    for (const [name, shape] of Object.entries(members)) {
      out[name] = shape(Object.hasOwn(given, name) ? given[name] : undefined, path === '' ? name : `${path}.${name}`)
    }
    return out as { [K in keyof T]: ReturnType<T[K]> }
  }
}
