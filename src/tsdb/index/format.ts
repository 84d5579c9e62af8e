// The index file, big-endian. Source: prometheus tsdb/docs/format/index.md, tsdb/index/index.go.
//
//   ┌ magic 0xBAAAD700 <u32> │ version <u8> │ symbols │ series, each at a multiple of 16 │ postings │ postings offset table │ TOC ┐
//
//   symbols    ┌ length <u32> │ count <u32> │ (length <uvarint> │ UTF-8) … │ CRC ┐   sorted; referenced by position (in v1: by file offset)
//   series     ┌ length <uvarint> │ labels <uvarint> │ (name, value <uvarint>) … │ chunks <uvarint> │ t0 <varint> │ max − min │ ref <uvarint> │
//              (min − max before │ max − min <uvarint> │ Δref <varint>) … │ CRC ┐   referenced by file offset / 16 (in v1: by file offset)
//   postings   ┌ length <u32> │ count <u32> │ series <u32> … │ CRC ┐
//   table      ┌ length <u32> │ count <u32> │ (2 <u8> │ name │ value │ offset <uvarint>) … │ CRC ┐   sorted; first comes "" = "", all series
//   TOC        ┌ offsets of symbols, series, label indices, their table, postings, postings table <u64> │ CRC ┐
//
// A length counts neither itself nor the CRC. Label indices are no longer written nor read.
export const indexMagic = 0xbaaad700
export const indexHeaderBytes = 5
export const tocBytes = 6 * 8 + 4
export const seriesAlign = 16
/** Written is 2; 1 and 3 are read as well. */
export const indexVersion = 2

export type Toc = Readonly<{
  symbols: number
  series: number
  labelIndices: number
  labelIndicesTable: number
  postings: number
  postingsTable: number
}>
