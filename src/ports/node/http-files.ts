// Credentials that live in files: read when used, so that a rotated secret or certificate counts from the next request on.
// A file is read again only where its stat changed; the look costs a few microseconds.
import * as fs from 'node:fs'
import { PromhiveError } from '../../base/errors.ts'

export class CredentialFiles {
  readonly #known = new Map<string, { stamp: string; text: string }>()

  /**
   * The text of the file without surrounding white space.
   * @param purpose what it is for, e.g. `authorization credentials`; the error is `unable to read <purpose>: unable to read file <path>: <why>`.
   * @throws PromhiveError CONFIG_INVALID
   */
  read(path: string, purpose: string): string {
    const stamp = this.stamp(path)
    const known = this.#known.get(path)
    if (stamp !== '' && known?.stamp === stamp) return known.text
    try {
      const text = fs.readFileSync(path, 'utf8').trim()
      this.#known.set(path, { stamp, text })
      return text
    } catch (thrown) {
      this.#known.delete(path)
      const why = /^E[A-Z0-9]+: ([^,]+)/.exec((thrown as Error).message)?.[1] ?? String(thrown)
      throw new PromhiveError('CONFIG_INVALID', `unable to read ${purpose}: unable to read file ${path}: ${why}`, { path }, thrown)
    }
  }

  /** Inline text where given, else the file's, else ''. */
  secret(text: string, path: string, purpose: string): string {
    return text !== '' || path === '' ? text : this.read(path, purpose)
  }

  /** Changes whenever the file does; '' where it is missing. */
  stamp(path: string): string {
    const stat = fs.statSync(path, { throwIfNoEntry: false })
    return stat === undefined ? '' : `${stat.ino} ${stat.size} ${stat.mtimeMs} ${stat.ctimeMs}`
  }
}
