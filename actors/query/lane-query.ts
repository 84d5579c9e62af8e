import type { SeriesSource } from '../../src/model/samples.ts'
import type { LaneState } from '../storage-shard/lane.ts'
import type { RequestHandler } from '../storage-shard/lane-requests.ts'

export function queryRequests(_state: LaneState, _source: SeriesSource): Record<string, RequestHandler> {
  return {}
}
