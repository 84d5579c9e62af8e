// `debug pprof|metrics|all`: what a server tells of itself, in one archive (FEATURES 9.10). Source: prometheus cmd/promtool/debug.go, archive.go.
import { gunzipSync, gzipSync } from 'node:zlib'
import { messageOf } from '../../base/errors.ts'
import { utf8Bytes } from '../../base/bytes.ts'
import { defaultHttpClientOptions } from '../../model/http-options.ts'
import type { Http } from '../../ports/http.ts'
import { checkProfile } from '../../../protocols/pprof/profile.ts'
import { exitCodes, type CheckIo, type ExitCode } from './check-io.ts'

export type DebugIo = Pick<CheckIo, 'print' | 'printError'> & Readonly<{ http: Http; write(name: string, bytes: Uint8Array): void }>
export type DebugSubject = 'pprof' | 'metrics' | 'all'

type Wanted = Readonly<{ path: string; file: string; isProfile: boolean }>

const profiles: readonly Wanted[] = [
  ...[
    ['profile?seconds=30', 'cpu.pb'],
    ['block', 'block.pb'],
    ['goroutine', 'goroutine.pb'],
    ['heap', 'heap.pb'],
    ['mutex', 'mutex.pb'],
    ['threadcreate', 'threadcreate.pb'],
  ].map(([path, file]): Wanted => ({ path: `/debug/pprof/${path}`, file: file!, isProfile: true })),
  { path: '/debug/pprof/trace?seconds=30', file: 'trace.pb', isProfile: false },
]
const metrics: readonly Wanted[] = [{ path: '/metrics', file: 'metrics.txt', isProfile: false }]
const subjects: Readonly<Record<DebugSubject, readonly Wanted[]>> = { pprof: profiles, metrics, all: [...profiles, ...metrics] }

const archive = 'debug.tar.gz'
/** A profile takes half a minute to make. */
const timeoutMs = 120_000
const bodyBytesMax = 1 << 30

export async function debug(subject: DebugSubject, server: string, io: DebugIo): Promise<ExitCode> {
  const client = io.http.client(defaultHttpClientOptions)
  const parts: Uint8Array[] = []
  try {
    for (const { path, file, isProfile } of subjects[subject]) {
      const url = `${server}${path}`
      io.print(`collecting: ${url}`)
      const body = await get(url)
      const bytes = isProfile ? unzippedProfile(body) : body
      parts.push(...tarEntry(file, bytes))
    }
    io.write(archive, gzipSync(Buffer.concat([...parts, new Uint8Array(1024)])))
    io.print(`Compiling debug information complete, all files written in ${JSON.stringify(archive)}.`)
    return exitCodes.success
  } catch (thrown) {
    io.printError(`error completing debug command: ${messageOf(thrown)}`)
    return exitCodes.failure
  } finally {
    await client.close()
  }

  async function get(url: string): Promise<Uint8Array> {
    try {
      return (await client.request({ method: 'GET', url, timeoutMs, bodyBytesMax })).body
    } catch (thrown) {
      throw new Error(`error executing HTTP request: ${messageOf(thrown)}`)
    }
  }
}

/** Throws where it is no profile. */
function unzippedProfile(body: Uint8Array): Uint8Array {
  try {
    const bytes = body[0] === 0x1f && body[1] === 0x8b ? gunzipSync(body, { maxOutputLength: bodyBytesMax }) : body
    const problem = checkProfile(bytes)
    if (problem !== null) throw new Error(problem)
    return bytes
  } catch (thrown) {
    throw new Error(`error post-processing HTTP response body: parsing profile: ${messageOf(thrown)}`)
  }
}

/**
 * One file of a tar archive (POSIX ustar): a header of 512 bytes, the bytes, zeros up to a multiple of 512.
 *   name <100b> | mode uid gid <8b each> | size mtime <12b each> | checksum <8b> | type <1b> | link <100b> | "ustar\0" "00" …
 */
function tarEntry(name: string, bytes: Uint8Array): Uint8Array[] {
  const header = new Uint8Array(512)
  const put = (at: number, text: string): void => header.set(utf8Bytes(text), at)
  const octal = (value: number, digits: number): string => `${value.toString(8).padStart(digits, '0')}\0`
  put(0, name)
  put(100, octal(0o666, 7))
  put(108, octal(0, 7))
  put(116, octal(0, 7))
  put(124, octal(bytes.length, 11))
  put(136, octal(0, 11))
  put(148, ' '.repeat(8)) // the checksum counts its own place as spaces
  put(156, '0')
  put(257, 'ustar\x0000')
  put(148, `${header.reduce((sum, byte) => sum + byte, 0).toString(8).padStart(6, '0')}\0 `) // prettier-ignore
  return [header, bytes, new Uint8Array((512 - (bytes.length % 512)) % 512)]
}
