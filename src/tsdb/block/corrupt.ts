import { messageOf, PromhiveError } from '../../base/errors.ts'

/** A file that is not what it must be: names the file and where in it. */
export function corrupt(path: string, offset: number, why: string, cause?: unknown): PromhiveError {
  return new PromhiveError('STORAGE_CORRUPT', `cannot read ${path} at byte ${offset}: ${why}`, { file: path, offset }, cause)
}

/** Runs a decoder that knows nothing of files; what it refuses becomes an error that names the file. */
export function decodeAt<T>(path: string, offset: number, decode: () => T): T {
  try {
    return decode()
  } catch (thrown) {
    if (thrown instanceof PromhiveError && thrown.code === 'DECODE') throw corrupt(path, offset, messageOf(thrown), thrown)
    throw thrown
  }
}
