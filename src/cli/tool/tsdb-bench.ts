// `tsdb bench write` (FEATURES 9.13): simulated scrapes into a storage of its own, and how many samples a second it took. Source: prometheus
// cmd/promtool/tsdb.go. Prometheus' also leaves profiles; here `node --cpu-prof` does that.
import { labelsFromObject, labelsKey, type Labels } from '../../model/labels.ts'
import { PromhiveError } from '../../base/errors.ts'
import type { Appender } from '../../model/appender.ts'
import { formatFloatG } from '../../model/number-text.ts'
import { printDuration } from '../../template/time.ts'

const intervalMs = 30_000
/** Scrapes that one group of series does before the next group has its turn, and series in a group. */
const roundScrapes = 100
const groupSeries = 1000

export type BenchOptions = Readonly<{ metrics: number; scrapes: number }>
export type BenchIo = Readonly<{
  print(line: string): void
  monotonicMs(): number
  /** Text of the file with series, one a line as JSON. */
  read(): string
  /** Opens an empty storage. */
  open(): Promise<Readonly<{ appender: Appender; close(): Promise<void> }>>
}>

export async function benchWrite({ metrics, scrapes }: BenchOptions, io: BenchIo): Promise<void> {
  const stage = async <T>(name: string, run: () => T | Promise<T>): Promise<{ result: T; ms: number }> => {
    io.print(`>> start stage=${name}`)
    const started = io.monotonicMs()
    const result = await run()
    const ms = io.monotonicMs() - started
    io.print(`>> completed stage=${name} duration=${printDuration(BigInt(Math.round(ms * 1e6)))}`)
    return { result, ms }
  }
  const { result: labels } = await stage('readData', () => readBenchSeries(io.read(), metrics))
  const storage = await io.open()
  try {
    const { result: total, ms } = await stage('ingestScrapes', async () => {
      const appended = await ingest(storage.appender, labels, scrapes)
      io.print('ingestion completed')
      return appended
    })
    io.print(` > total samples: ${total}`)
    io.print(` > samples/sec: ${formatFloatG(total / (ms / 1000))}`)
  } finally {
    await stage('stopStorage', () => storage.close())
  }
}

/** Series of a text such as `{"__name__":"m","a":"b"}`, one a line, each once, at most `most`. Throws BAD_REQUEST. */
export function readBenchSeries(text: string, most: number): Labels[] {
  const out = new Map<string, Labels>()
  let line = 0
  for (const each of text.split('\n')) {
    line++
    if (out.size >= most) break
    if (each.trim() === '') continue
    let labels: Labels
    try {
      labels = labelsFromObject(JSON.parse(each) as Record<string, string>)
    } catch (thrown) {
      throw new PromhiveError('BAD_REQUEST', `line ${line} is no series such as {"__name__":"m","a":"b"}`, { line }, thrown)
    }
    out.set(labelsKey(labels), labels)
  }
  return [...out.values()]
}

async function ingest(appender: Appender, labels: readonly Labels[], scrapes: number): Promise<number> {
  const groups: Uint32Array[] = []
  for (let from = 0; from < labels.length; from += groupSeries)
    groups.push(Uint32Array.from(labels.slice(from, from + groupSeries), (one) => appender.open(one)))
  let total = 0
  for (let first = 0; first < scrapes; first += roundScrapes) {
    // all groups beside one another, as targets are
    await Promise.all(
      groups.map(async (handles) => {
        const values = new Float64Array(handles.length).fill(123_456_789)
        for (let n = 1; n <= Math.min(roundScrapes, scrapes - first); n++) {
          for (let i = 0; i < values.length; i++) values[i]! += 1000
          const batch = { length: handles.length, handles, values, times: null, timeMs: (first + n) * intervalMs }
          const { appended, firstError } = await appender.append(batch)
          total += appended
          if (appended < handles.length)
            throw new PromhiveError('INTERNAL', `${handles.length - appended} samples were refused: ${firstError}`)
        }
      }),
    )
  }
  return total
}
