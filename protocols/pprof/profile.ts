// Profiles as `go tool pprof` reads them: a gzipped protobuf message (the caller zips), and the text that `?debug=1` gives.
//
//   Profile   1 sample_type*  2 sample*  4 location*  5 function*  6 string_table*  9 time_nanos  10 duration_nanos
//             11 period_type  12 period  13 comment*  14 default_sample_type
//   Sample    1 location_id* (leaf first)  2 value*  3 label*      Location  1 id  4 line*      Line  1 function_id  2 line
//   Function  1 id  2 name  3 system_name  4 filename              ValueType 1 type  2 unit     Label 1 key  2 str
//
// Source: github.com/google/pprof proto/profile.proto.
import { ProtoReader, ProtoWriter } from '../remote/protobuf.ts'

export type ValueType = Readonly<{ type: string; unit: string }>
export type Frame = Readonly<{ name: string; file: string; line: number }>
export type ProfileSample = Readonly<{
  /** One for each sample type. */
  values: readonly number[]
  /** Leaf first. */
  stack: readonly Frame[]
  labels: Readonly<Record<string, string>>
}>
export type PprofProfile = Readonly<{
  sampleTypes: readonly ValueType[]
  /** Shown unless another is asked for. */
  defaultType: string
  periodType: ValueType
  period: number
  timeMs: number
  durationMs: number
  samples: readonly ProfileSample[]
  comments: readonly string[]
}>

export function encodeProfile(profile: PprofProfile): Uint8Array {
  const out = new ProtoWriter(64 << 10)
  const strings = new Map<string, number>([['', 0]])
  const text = (value: string): number => {
    let at = strings.get(value)
    if (at === undefined) strings.set(value, (at = strings.size))
    return at
  }
  const valueType = (field: number, { type, unit }: ValueType): void =>
    out.message(field, () => {
      out.int64(1, text(type))
      out.int64(2, text(unit))
    })
  const functions = new Map<string, Readonly<{ id: number; frame: Frame }>>()
  const locations = new Map<string, Readonly<{ id: number; functionId: number; line: number }>>()
  const locationOf = (frame: Frame): number => {
    const functionKey = `${frame.name}\xff${frame.file}`
    const key = `${functionKey}\xff${frame.line}`
    const known = locations.get(key)
    if (known !== undefined) return known.id
    let called = functions.get(functionKey)
    if (called === undefined) functions.set(functionKey, (called = { id: functions.size + 1, frame }))
    locations.set(key, { id: locations.size + 1, functionId: called.id, line: frame.line })
    return locations.size
  }
  for (const type of profile.sampleTypes) valueType(1, type)
  for (const { values, stack, labels } of profile.samples) {
    out.message(2, () => {
      out.packedUint32(1, stack.map(locationOf))
      out.message(2, () => {
        for (const value of values) out.varint64(Math.round(value))
      })
      for (const key in labels) {
        out.message(3, () => {
          out.int64(1, text(key))
          out.int64(2, text(labels[key]!))
        })
      }
    })
  }
  for (const { id, functionId, line } of locations.values()) {
    out.message(4, () => {
      out.int64(1, id)
      out.message(4, () => {
        out.int64(1, functionId)
        out.int64(2, line)
      })
    })
  }
  for (const { id, frame } of functions.values()) {
    out.message(5, () => {
      out.int64(1, id)
      out.int64(2, text(frame.name))
      out.int64(3, text(frame.name))
      out.int64(4, text(frame.file))
    })
  }
  out.int64(9, profile.timeMs * 1e6)
  out.int64(10, Math.round(profile.durationMs * 1e6))
  valueType(11, profile.periodType)
  out.int64(12, Math.round(profile.period))
  for (const comment of profile.comments) out.int64(13, text(comment))
  out.int64(14, text(profile.defaultType))
  // last, for all of them are known now; the order of fields does not matter
  for (const value of strings.keys()) {
    if (value === '') out.data(6, new Uint8Array(0))
    else out.string(6, value)
  }
  return out.written()
}

/**
 * A profile to be read as it is. Like stacks are one entry with their number; with `debug` 2 and above each sample is an entry of its own, with its
 * labels.
 */
export function printProfile(kind: string, { samples, sampleTypes }: PprofProfile, debug: number): string {
  const total = samples.reduce((sum, { values }) => sum + (values[0] ?? 0), 0)
  const lines = [`${kind} profile: total ${total}`, `# values: ${sampleTypes.map(({ type, unit }) => `${type}/${unit}`).join(' ')}`, '']
  const stackText = (stack: readonly Frame[]): string =>
    stack.map(({ name, file, line }) => `#\t${name}${file === '' ? '' : `\t${file}:${line}`}`).join('\n')
  const add = (values: readonly number[], stack: readonly Frame[], labels: string): void => {
    lines.push(`${values.join(' ')} @${labels}`, stackText(stack), '')
  }
  if (debug >= 2) {
    for (const { values, stack, labels } of samples) {
      add(values, stack, Object.entries(labels).map(([name, value]) => ` ${name}=${value}`).join('')) // prettier-ignore
    }
    return lines.join('\n')
  }
  const alike = new Map<string, { values: number[]; stack: readonly Frame[] }>()
  for (const { values, stack } of samples) {
    const known = alike.get(stackText(stack))
    if (known === undefined) alike.set(stackText(stack), { values: [...values], stack })
    else values.forEach((value, i) => (known.values[i]! += value))
  }
  for (const { values, stack } of [...alike.values()].sort((a, b) => b.values[0]! - a.values[0]!)) add(values, stack, '')
  return lines.join('\n')
}

/** Null where the bytes, unzipped, are a profile with sample types and a string table; else what is wrong. */
export function checkProfile(bytes: Uint8Array): string | null {
  const reader = new ProtoReader(bytes)
  let [types, strings] = [0, 0]
  try {
    while (reader.at < reader.end) {
      const tag = reader.tag()
      if (tag === 0x0a) types++
      else if (tag === 0x32) strings++
      reader.skip(tag)
    }
  } catch {
    return 'unrecognized profile format'
  }
  if (types === 0) return bytes.length === 0 ? 'empty input file' : 'missing sample type information'
  return strings === 0 ? 'string table[0] must be ""' : null
}
