// Growing typed arrays, for columns whose length is not known beforehand.

type Column = Uint8Array | Uint16Array | Int32Array | Uint32Array | Float64Array

/** A longer column with the same entries; those behind are 0. */
export function growTo<T extends Column>(column: T, length: number): T {
  const grown = new (column.constructor as new (length: number) => T)(length)
  grown.set(column)
  return grown
}
