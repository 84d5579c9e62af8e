// /debug/pprof: profiles for `go tool pprof` and `promtool debug` (FEATURES 6.46), with the paths and parameters of Go's net/http/pprof. What a
// profile holds is the backend's business.
import { gzip } from 'node:zlib'
import { messageOf } from '../base/errors.ts'
import { pathOf } from '../base/url-path.ts'
import { encodeProfile, printProfile, type PprofProfile } from '../../protocols/pprof/profile.ts'
import type { ProfilesBackend } from './backend.ts'
import { noContent, plainError, type Answer } from './envelope.ts'
import type { ApiRequest, Edge } from './routes.ts'

/** Longer profiles would hold too many samples. */
const secondsMax = 600
const secondsDefault = 30
/** Of allocations, where no time is asked for. */
const allocationSecondsDefault = 5

const descriptions: Readonly<Record<string, string>> = {
  allocs: 'What is allocated within ?seconds=, garbage too, of all threads',
  block: 'Empty: nothing blocks here',
  cmdline: 'The command line of this program',
  fgprof: 'As profile, the time in which threads are idle included',
  goroutine: 'Actors, and what the event loop waits for. ?debug=1 as text, ?debug=2 each by itself',
  heap: 'Allocated since the start and still there, of all threads; ?gc=1 collects garbage before',
  mutex: 'Empty: there are no locks',
  profile: 'What all threads spend their CPU time on, within ?seconds=',
  symbol: 'Profiles bear the names of functions: there is nothing to look up',
  threadcreate: 'Threads that run JavaScript',
  trace: 'Refused: execution traces are of the Go runtime',
}

const guarded = { 'X-Content-Type-Options': 'nosniff' }

export async function profileAnswer(edge: Edge, { parameters, form, signal, path }: ApiRequest): Promise<Answer> {
  const rest = parameters['*'] ?? ''
  if (rest === 'pprof') {
    const to = `${pathOf(edge.options.externalUrl)}${path}/`
    return { status: 301, contentType: 'text/html; charset=utf-8', body: '', headers: { Location: to } }
  }
  const { profiles } = edge.backend
  if (!rest.startsWith('pprof/') || profiles === null) return plainError(404, '404 page not found')
  const kind = rest.slice('pprof/'.length)
  switch (kind) {
    case '':
      return { status: 200, contentType: 'text/html; charset=utf-8', body: indexPage(), headers: guarded }
    case 'cmdline':
      return { status: 200, contentType: 'text/plain; charset=utf-8', body: profiles.commandLine().join('\0'), headers: guarded }
    case 'symbol':
      return { status: 200, contentType: 'text/plain; charset=utf-8', body: 'num_symbols: 0\n', headers: guarded }
    case 'trace':
      return failed(501, 'Could not enable tracing: execution traces are of the Go runtime, this program does not run on it')
  }
  if (descriptions[kind] === undefined) return failed(404, 'Unknown profile')
  const asked = Math.trunc(Number(form.first('seconds')))
  const seconds = Number.isFinite(asked) && asked > 0 ? asked : null
  if (seconds !== null && seconds > secondsMax) return failed(400, `Could not profile for ${seconds} seconds: at most ${secondsMax}`)
  let profile: PprofProfile
  try {
    profile = await take(profiles, kind, { seconds, collect: Number(form.first('gc')) > 0 }, signal)
  } catch (thrown) {
    return failed(500, `Could not enable profiling: ${messageOf(thrown)}`)
  }
  if (signal.aborted) return noContent
  const debug = Number(form.first('debug')) || 0
  if (debug > 0)
    return { status: 200, contentType: 'text/plain; charset=utf-8', body: printProfile(kind, profile, debug), headers: guarded }
  return {
    status: 200,
    contentType: 'application/octet-stream',
    body: [await zipped(encodeProfile(profile))],
    headers: { ...guarded, 'Content-Disposition': `attachment; filename="${kind}"` },
  }
}

type Wish = Readonly<{ seconds: number | null; collect: boolean }>

function take(
  profiles: ProfilesBackend,
  kind: string,
  { seconds, collect }: Wish,
  signal: AbortSignal,
): PprofProfile | Promise<PprofProfile> {
  switch (kind) {
    case 'profile':
    case 'fgprof':
      return profiles.cpu(seconds ?? secondsDefault, kind === 'fgprof', signal)
    case 'allocs':
      return profiles.allocations(seconds ?? allocationSecondsDefault, signal)
    case 'heap':
      return seconds === null ? profiles.heap(collect) : profiles.allocations(seconds, signal)
    case 'goroutine':
      return profiles.goroutines()
    case 'threadcreate':
      return profiles.threads()
    default:
      return profiles.contentions()
  }
}

function zipped(bytes: Uint8Array): Promise<Uint8Array> {
  return new Promise((resolve, reject) => gzip(bytes, (failure, done) => (failure === null ? resolve(done) : reject(failure))))
}

function failed(status: number, why: string): Answer {
  return plainError(status, why, { 'X-Go-Pprof': '1' })
}

function indexPage(): string {
  const rows = Object.entries(descriptions).map(([name, text]) => `<tr><td><a href="${name}">${name}</a></td><td>${text}</td></tr>`)
  return `<html>
<head><title>/debug/pprof/</title></head>
<body>
<h1>/debug/pprof/</h1>
<p>Add <code>?debug=1</code> to read a profile as text, or give its URL to <code>go tool pprof</code>.</p>
<table>
${rows.join('\n')}
</table>
</body>
</html>
`
}
