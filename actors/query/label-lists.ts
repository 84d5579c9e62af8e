// Lists of label names, label values and series, from the one storage worker there is.
//
// Browsers ask for all label names and values at every page and every key. An answer without selectors stays right until a series comes or
// goes, which the worker tells by a number in shared memory: such answers are kept, and do not wait for the queries the worker is busy with.
import type { Cancellation } from '../../src/base/cancel.ts'
import type { Lanes } from '../storage-shard/lanes.ts'
import type { Holds, ListAnswer, ListRequest } from '../storage-shard/lane-requests.ts'

/** Answers kept, and the most bytes of one. */
const answersMax = 64
const answerBytesMax = 16 << 10

type Kept = Readonly<{ answer: ListAnswer; holds: Holds }>

export class LabelLists {
  readonly #lanes: Lanes
  readonly #kept = new Map<string, Kept>()
  constructor(lanes: Lanes) {
    this.#lanes = lanes
  }

  /** Whoever gets the answer calls `releasePages` with its data when it is sent. */
  async ask(request: ListRequest, signal: Cancellation): Promise<ListAnswer> {
    if (request.matchers.length > 0 || request.kind === 'series') return this.#lanes.ask<ListAnswer>(0, 'listed', request, signal)
    const key = `${request.kind} ${request.limit} ${request.name}`
    const kept = this.#kept.get(key)
    if (kept !== undefined) {
      if (this.#holds(kept.holds, request)) return kept.answer
      this.#kept.delete(key)
    }
    const answer = await this.#lanes.ask<ListAnswer>(0, 'listed', request, signal)
    // shared memory is used again: only copies can be kept
    if (answer.holds === null || answer.data.length !== 1) return answer
    const { buffer, length } = answer.data[0]!
    if (!(buffer instanceof ArrayBuffer) || length > answerBytesMax) return answer
    if (this.#kept.size >= answersMax) this.#kept.delete(this.#kept.keys().next().value!)
    this.#kept.set(key, { answer, holds: answer.holds })
    return answer
  }

  #holds({ stamp, startAfter, startUntil, endFrom, endBefore }: Holds, { startMs, endMs }: ListRequest): boolean {
    return startMs > startAfter && startMs <= startUntil && endMs >= endFrom && endMs < endBefore && stamp === this.#lanes.labelStamp(0)
  }
}
