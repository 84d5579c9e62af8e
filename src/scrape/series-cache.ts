// What a target remembers from scrape to scrape. Two kinds: LayoutScrape (plain text and OpenMetrics, the quick one) and KeyedScrape (everything else).
import type { Labels } from '../model/labels.ts'
import type { Metadata } from '../model/metadata.ts'
import type { ExpositionFormat } from '../../protocols/exposition/formats.ts'
import type { BatchBuilder } from './batch.ts'

export interface SeriesCache {
  /**
   * Fills the batch with a body's samples, and with staleness markers of series that are gone. Throws PromhiveError SCRAPE where the scrape must fail:
   * then the batch is empty again and the cache as it was. `counts` is filled in either case.
   */
  ingest(body: Uint8Array, format: ExpositionFormat, batch: BatchBuilder, nowMs: number, counts: ScrapeCounts): void
  /** Staleness markers for all series, once: after a failed or empty scrape, and at the end. */
  markStale(batch: BatchBuilder): void
  /** Gives back the handles of series that were gone in the last ingest. Call after the batch was handed over. */
  releaseVanished(): void
  /** Gives back all handles. */
  release(): void
  /** Made when asked for, for it is rarely. */
  metadata(): readonly FamilyMetadata[]
  metadataSize(): MetadataSize
  /** Bytes held for the next scrape. */
  readonly bytes: number
}
export type FamilyMetadata = Metadata & Readonly<{ family: string }>

/** Families, and bytes of their types, helps and units. */
export type MetadataSize = Readonly<{ entries: number; bytes: number }>
export const noMetadata: MetadataSize = { entries: 0, bytes: 0 }

export type ScrapeCounts = {
  /** Series lines in the body. */
  scraped: number
  /** Those left after metric relabelling. */
  kept: number
  /** Those that were not known. */
  added: number
  /** Series exposed twice. */
  duplicates: number
  /** Samples too far in the future. */
  outOfBounds: number
}

/** How far in the future a sample may lie. */
export const aheadMsMax = 10 * 60_000

/** OpenMetrics' limit on the labels of an exemplar, in characters. */
export function exemplarFits(labels: Labels): boolean {
  let characters = 0
  for (const text of labels) for (const _ of text) characters++
  return characters <= 128
}
