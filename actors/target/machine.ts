import { assign, fromPromise, setup } from 'xstate'
import type { ScrapeOutcome } from '../../src/scrape/target-scrape.ts'

/** When a target is scraped: at `offsetMs + k * intervalMs` on every node. */
export type Slots = Readonly<{ intervalMs: number; offsetMs: number }>
export type TargetInput = Slots & Readonly<{ nowMs: () => number }>
type Context = TargetInput & {
  /** The slot waited for or being scraped. */
  slotMs: number
  scrapes: number
  last: ScrapeOutcome | null
  /** Told to leave while scraping. */
  left: boolean
}

/**
 * One scrape target: waits for its slot, scrapes, waits again. A slot that is over when its turn comes is not made up for: the latest one is taken.
 * The effects `scrape` and `end` are injected; the machine never reads a clock or a socket.
 *
 *   waiting ──slot──▶ scraping ──done | failed──▶ waiting        slots ──▶ other slots from now on (a scrape under way is finished)
 *   waiting ──leave──▶ leaving ──2 intervals and a tenth──▶ ending ──▶ released      (series end only when the target surely doesn't come back)
 *   scraping, told to leave ──done──▶ leaving        leaving ──return──▶ waiting: nothing was lost
 *   release ──▶ released (final), from anywhere: nothing more is written
 */
export const target = setup({
  types: {
    input: {} as TargetInput,
    context: {} as Context,
    events: {} as { type: 'release' } | { type: 'leave' } | { type: 'return' } | { type: 'slots'; slots: Slots },
  },
  actors: {
    scrape: fromPromise<ScrapeOutcome, { slotMs: number }>(() => Promise.reject(new Error('BUG: scrape not provided'))),
    end: fromPromise<void, { timeMs: number }>(() => Promise.reject(new Error('BUG: end not provided'))),
  },
  actions: {
    pickSlot: assign({ slotMs: ({ context }) => nextSlot(context, context.nowMs(), context.slotMs) }),
    /** Where the timer came late by an interval or more, the latest slot is the one. */
    catchUp: assign({ slotMs: ({ context }) => Math.max(context.slotMs, slotBefore(context, context.nowMs())) }),
    keepOutcome: assign({
      last: ({ event }) => (event as unknown as { output: ScrapeOutcome }).output,
      scrapes: ({ context }) => context.scrapes + 1,
    }),
    keepError: assign({
      last: ({ event }) => ({ ok: false, durationMs: 0, error: String((event as unknown as { error: unknown }).error) }),
      scrapes: ({ context }) => context.scrapes + 1,
    }),
    takeSlots: assign(({ event }) => (event.type === 'slots' ? { ...event.slots, slotMs: -Infinity } : {})),
  },
  delays: {
    untilSlot: ({ context: { slotMs, nowMs } }) => Math.max(0, slotMs - nowMs()),
    untilGone: ({ context: { slotMs, nowMs, intervalMs } }) => Math.max(0, slotMs + intervalMs * 1.1 - nowMs()),
  },
}).createMachine({
  id: 'target',
  context: ({ input }) => ({ ...input, slotMs: -Infinity, scrapes: 0, last: null, left: false }),
  initial: 'waiting',
  on: { release: '.released' },
  states: {
    waiting: {
      entry: 'pickSlot',
      after: { untilSlot: { target: 'scraping', actions: 'catchUp' } },
      on: {
        slots: { target: 'waiting', reenter: true, actions: 'takeSlots' },
        leave: [{ guard: ({ context }) => context.scrapes > 0, target: 'leaving' }, { target: 'released' }],
      },
    },
    scraping: {
      invoke: {
        src: 'scrape',
        input: ({ context }) => ({ slotMs: context.slotMs }),
        onDone: [
          { guard: ({ context }) => context.left, target: 'leaving', actions: 'keepOutcome' },
          { target: 'waiting', actions: 'keepOutcome' },
        ],
        onError: [
          { guard: ({ context }) => context.left, target: 'leaving', actions: 'keepError' },
          { target: 'waiting', actions: 'keepError' },
        ],
      },
      on: {
        // the next slot is picked by them; the scrape under way keeps its own
        slots: { actions: assign(({ event }) => event.slots) },
        leave: { actions: assign({ left: true }) },
        return: { actions: assign({ left: false }) },
      },
    },
    leaving: {
      // the time of the markers is the slot that won't be scraped
      entry: 'pickSlot',
      after: { untilGone: 'ending' },
      on: { return: { target: 'waiting', actions: assign({ left: false, slotMs: -Infinity }) } },
    },
    ending: {
      invoke: {
        src: 'end',
        input: ({ context }) => ({ timeMs: context.slotMs }),
        onDone: 'released',
        onError: 'released',
      },
    },
    released: { type: 'final' },
  },
})

/** The last slot at or before a time. */
export function slotBefore({ intervalMs, offsetMs }: Slots, nowMs: number): number {
  return Math.floor((nowMs - offsetMs) / intervalMs) * intervalMs + offsetMs
}

/** The first slot after a time and after the last slot; a clock that was set back by more than an interval is believed. */
function nextSlot(slots: Slots, nowMs: number, lastMs: number): number {
  const next = slotBefore(slots, nowMs) + slots.intervalMs
  return next <= lastMs && lastMs - next < slots.intervalMs ? next + slots.intervalMs : next
}
