// TLS options of a client as a ready secure context, made again when one of its files changes.
import * as tls from 'node:tls'
import { messageOf, PromhiveError } from '../../base/errors.ts'
import type { TlsOptions, TlsVersion } from '../../model/http-options.ts'
import type { TlsConnect } from './http-connect.ts'
import type { CredentialFiles } from './http-files.ts'

/** What a connection needs; `version` grows when the files changed, so that connections made with the old ones can be given up. */
export type TlsSettings = Readonly<{ version: number; options: TlsConnect }>

const versions: Readonly<Record<TlsVersion, tls.SecureVersion>> = { TLS10: 'TLSv1', TLS11: 'TLSv1.1', TLS12: 'TLSv1.2', TLS13: 'TLSv1.3' }

export class TlsSource {
  readonly #options: TlsOptions | undefined
  readonly #files: CredentialFiles
  readonly #paths: readonly string[]
  #stamp = ''
  #settings: TlsSettings | null = null

  constructor(options: TlsOptions | undefined, files: CredentialFiles) {
    this.#options = options
    this.#files = files
    this.#paths = options === undefined ? [] : [options.caFile, options.certFile, options.keyFile].filter((path) => path !== '')
  }

  /** Cheap where no files are used. Throws PromhiveError CONFIG_INVALID where a certificate or key cannot be read or used. */
  current(): TlsSettings {
    if (this.#settings !== null && this.#paths.length === 0) return this.#settings
    const stamp = this.#paths.map((path) => this.#files.stamp(path)).join(',')
    if (this.#settings !== null && stamp === this.#stamp) return this.#settings
    const settings = { version: (this.#settings?.version ?? 0) + 1, options: this.#build() }
    this.#stamp = stamp
    this.#settings = settings
    return settings
  }

  #build(): TlsConnect {
    const o = this.#options
    if (o === undefined) return { secureContext: tls.createSecureContext(), rejectUnauthorized: true }
    const ca = this.#files.secret(o.ca, o.caFile, 'CA cert')
    const cert = this.#files.secret(o.cert, o.certFile, 'specified client cert')
    const key = this.#files.secret(o.key, o.keyFile, 'specified client key')
    const where = (path: string): string => (path === '' ? 'inline' : `file ${path}`)
    const context: tls.SecureContextOptions = {}
    if (o.minVersion !== '') context.minVersion = versions[o.minVersion]
    if (o.maxVersion !== '') context.maxVersion = versions[o.maxVersion]
    // OpenSSL 3 refuses the old versions at its default security level even where they are asked for.
    if (o.minVersion === 'TLS10' || o.minVersion === 'TLS11') context.ciphers = 'DEFAULT@SECLEVEL=0'
    if (ca !== '') {
      if (!ca.includes('-----BEGIN ')) throw invalid(`unable to use specified CA cert ${where(o.caFile)}`)
      context.ca = ca
      make(context, `unable to use specified CA cert ${where(o.caFile)}`)
    }
    if (cert !== '') Object.assign(context, { cert, key })
    const secureContext = make(context, `unable to use specified client cert (${where(o.certFile)}) & key (${where(o.keyFile)})`)
    const options = { secureContext, rejectUnauthorized: !o.insecureSkipVerify }
    return o.serverName === '' ? options : { ...options, servername: o.serverName }
  }
}

function make(options: tls.SecureContextOptions, failure: string): tls.SecureContext {
  try {
    return tls.createSecureContext(options)
  } catch (thrown) {
    throw invalid(`${failure}: ${messageOf(thrown)}`, thrown)
  }
}

function invalid(message: string, cause?: unknown): PromhiveError {
  return new PromhiveError('CONFIG_INVALID', message, {}, cause)
}
