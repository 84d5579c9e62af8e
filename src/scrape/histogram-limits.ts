// What a job lets through of native histograms: `native_histogram_min_bucket_factor` and `native_histogram_bucket_limit` (FEATURES 1.17).
import { customBucketsSchema, type Histogram } from '../model/histogram.ts'
import { copyToSchema } from '../model/histogram-arithmetic.ts'
import { exponentialSchemaMax, exponentialSchemaMin } from '../model/histogram-bounds.ts'

/** The finest schema whose buckets grow by at least this factor; 0 or less than 1 = no wish. */
export function schemaOfFactor(factor: number): number {
  const wanted = factor <= 1 ? 1.00271 : factor
  const schema = Math.floor(-Math.log2(Math.log2(wanted)))
  return Math.min(exponentialSchemaMax, Math.max(exponentialSchemaMin, schema)) + 0 // no −0
}

/**
 * The histogram in the resolution the job allows.
 * @param bucketsMax 0 = no limit.
 * @returns null where it has too many buckets even in the coarsest resolution.
 */
export function limitHistogram(histogram: Histogram, schemaMax: number, bucketsMax: number): Histogram | null {
  const custom = histogram.schema === customBucketsSchema
  let limited = !custom && histogram.schema > schemaMax ? coarser(histogram, schemaMax) : histogram
  if (bucketsMax === 0) return limited
  while (limited.positiveBuckets.length + limited.negativeBuckets.length > bucketsMax) {
    if (custom || limited.schema <= exponentialSchemaMin) return null
    limited = coarser(limited, limited.schema - 1)
  }
  return limited
}

/** Integers stay integers, and what is known of resets stays known. */
function coarser(histogram: Histogram, schema: number): Histogram {
  return { ...copyToSchema(histogram, schema), isFloat: histogram.isFloat, counterReset: histogram.counterReset }
}
