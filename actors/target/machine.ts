import { assign, fromCallback, fromPromise, sendTo, setup, type AnyEventObject } from 'xstate'
import { nextSlot, type Slots } from './cycle.ts'

export type TargetInput = Slots & Readonly<{ nowMs: () => number }>
type Context = TargetInput & {
  /** The last slot, once the cycle rests; the one that won't be scraped, once the target leaves. */
  slotMs: number
  scrapes: number
}

/** What the cycle of a target is told. It answers `leave` with `rested`, unless a `return` comes first. */
export type CycleOrder = { type: 'leave' } | { type: 'return' } | { type: 'slots'; slots: Slots }
export type CycleRested = { type: 'rested'; slotMs: number; scrapes: number }

/**
 * One scrape target: scraped at its slots for as long as it is there. A slot that is over when its turn comes is not made up for: the latest one is taken.
 * `cycle` (cycle.ts) and `end` are injected; the machine never reads a clock or a socket. Nothing here happens per scrape.
 *
 *   scraping ──slots──▶ other slots from now on (a scrape under way is finished)
 *   scraping ──leave──▶ the cycle finishes its scrape ──rested──▶ leaving | released where it was never scraped        return meanwhile: nothing was lost
 *   leaving ──2 intervals and a tenth──▶ ending ──▶ released      (series end only when the target surely doesn't come back)
 *   leaving ──return──▶ scraping: nothing was lost
 *   release ──▶ released (final), from anywhere: nothing more is written
 */
export const target = setup({
  types: {
    input: {} as TargetInput,
    context: {} as Context,
    events: {} as { type: 'release' } | CycleOrder | CycleRested,
  },
  actors: {
    cycle: fromCallback<AnyEventObject, Slots>(() => {
      throw new Error('BUG: cycle not provided')
    }),
    end: fromPromise<void, { timeMs: number }>(() => Promise.reject(new Error('BUG: end not provided'))),
  },
  actions: {
    pass: sendTo('cycle', ({ event }) => event),
    pickSlot: assign({ slotMs: ({ context }) => nextSlot(context, context.nowMs(), context.slotMs) }),
    takeSlots: assign(({ event }) => (event.type === 'slots' ? event.slots : {})),
    keepRest: assign(({ context, event }) =>
      event.type === 'rested' ? { slotMs: event.slotMs, scrapes: context.scrapes + event.scrapes } : {},
    ),
  },
  delays: {
    untilGone: ({ context: { slotMs, nowMs, intervalMs } }) => Math.max(0, slotMs + intervalMs * 1.1 - nowMs()),
  },
}).createMachine({
  id: 'target',
  context: ({ input }) => ({ ...input, slotMs: -Infinity, scrapes: 0 }),
  initial: 'scraping',
  on: { release: '.released' },
  states: {
    scraping: {
      invoke: { id: 'cycle', src: 'cycle', input: ({ context: { intervalMs, offsetMs } }) => ({ intervalMs, offsetMs }) },
      on: {
        slots: { actions: ['takeSlots', 'pass'] },
        leave: { actions: 'pass' },
        return: { actions: 'pass' },
        rested: [
          { guard: ({ context, event }) => context.scrapes + event.scrapes > 0, target: 'leaving', actions: 'keepRest' },
          { target: 'released' },
        ],
      },
    },
    leaving: {
      // the time of the markers is the slot that won't be scraped
      entry: 'pickSlot',
      after: { untilGone: 'ending' },
      on: {
        slots: { actions: 'takeSlots' },
        return: { target: 'scraping', actions: assign({ slotMs: -Infinity }) },
      },
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
