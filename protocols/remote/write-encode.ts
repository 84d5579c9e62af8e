// Remote-write requests as a sender makes them, not compressed: one sample a series, metadata of families. The counterpart of write-v1.ts and
// write-v2.ts.
import { labelValue, type Labels } from '../../src/model/labels.ts'
import { metricTypes, type MetricType } from '../../src/model/metadata.ts'
import { ProtoWriter } from './protobuf.ts'

/** `family` is what its metadata stands under. */
export type SentSeries = Readonly<{ labels: Labels; family: string; value: number; timeMs: number }>
export type SentMetadata = Readonly<{ family: string; type: MetricType; help: string }>

/** prometheus.WriteRequest. */
export function encodeWriteV1(series: readonly SentSeries[], metadata: readonly SentMetadata[]): Uint8Array {
  const out = new ProtoWriter(1 << 14)
  for (const { labels, value, timeMs } of series) {
    out.message(1, () => {
      for (let i = 0; i < labels.length; i += 2) {
        out.message(1, () => {
          out.string(1, labels[i]!)
          out.string(2, labels[i + 1]!)
        })
      }
      out.message(2, () => {
        out.double(1, value)
        out.int64(2, timeMs)
      })
    })
  }
  for (const { family, type, help } of metadata) {
    out.message(3, () => {
      out.int64(1, metricTypes.indexOf(type))
      out.string(2, family)
      out.string(4, help)
    })
  }
  return out.written()
}

/** io.prometheus.write.v2.Request. */
export function encodeWriteV2(series: readonly SentSeries[], metadata: readonly SentMetadata[]): Uint8Array {
  const symbols = new Map<string, number>([['', 0]])
  const ref = (text: string): number => {
    let at = symbols.get(text)
    if (at === undefined) symbols.set(text, (at = symbols.size))
    return at
  }
  const known = new Map(metadata.map((each) => [each.family, each]))
  const body = new ProtoWriter(1 << 14)
  for (const { labels, family, value, timeMs } of series) {
    body.message(5, () => {
      body.packedUint32(1, labels.map(ref))
      body.message(2, () => {
        body.double(1, value)
        body.int64(2, timeMs)
      })
      const about = known.get(family) ?? known.get(labelValue(labels, '__name__'))
      if (about === undefined) return
      body.message(5, () => {
        body.int64(1, metricTypes.indexOf(about.type))
        body.int64(3, ref(about.help))
      })
    })
  }
  const out = new ProtoWriter(1 << 14)
  for (const symbol of symbols.keys()) {
    if (symbol === '') out.data(4, new Uint8Array(0))
    else out.string(4, symbol)
  }
  out.raw(body.written())
  return out.written()
}
