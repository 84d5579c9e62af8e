import { assign, fromCallback, fromPromise, sendTo, setup, type AnyEventObject } from 'xstate'
import { nextSlot, ScrapeCycle, type Slots } from './cycle.ts'
import type { SlotTimers } from './slot-timers.ts'

/** What a target's machine drives. Both reject for bugs of ours alone. */
export interface TargetWork {
  scrape(slotMs: number): Promise<unknown>
  /** Ends the target's series, with staleness markers at this time. */
  end(timeMs: number): Promise<void>
}

export type TargetInput = Slots & Readonly<{ work: TargetWork; timers: SlotTimers }>
type Context = TargetInput & {
  /** The last slot, once the cycle rests; the one that won't be scraped, once the target leaves. */
  slotMs: number
  scrapes: number
}

/** What the cycle of a target is told. It answers `leave` with `rested`, unless a `return` comes first. */
export type CycleOrder = { type: 'leave' } | { type: 'return' } | { type: 'slots'; slots: Slots }
export type CycleRested = { type: 'rested'; slotMs: number; scrapes: number }
type CycleFailed = { type: 'failed'; thrown: unknown }

/**
 * One scrape target: scraped at its slots for as long as it is there. A slot that is over when its turn comes is not made up for: the latest one is taken.
 * The cycle (cycle.ts) turns by itself: nothing here happens per scrape. A scrape that rejects fails the machine, for its supervisor to start it anew.
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
    events: {} as { type: 'release' } | CycleOrder | CycleRested | CycleFailed,
  },
  actors: {
    cycle: fromCallback<AnyEventObject, TargetInput>(({ input: { work, timers, ...slots }, receive, sendBack }) => {
      const cycle = new ScrapeCycle(
        slots,
        timers,
        (slotMs) => work.scrape(slotMs),
        () => sendBack({ type: 'rested', slotMs: cycle.slotMs, scrapes: cycle.scrapes }),
        (thrown) => sendBack({ type: 'failed', thrown }),
      )
      receive((event) => {
        const order = event as CycleOrder
        if (order.type === 'leave') cycle.leave()
        else if (order.type === 'return') cycle.stay()
        else if (order.type === 'slots') cycle.changeSlots(order.slots)
      })
      return () => cycle.stop()
    }),
    end: fromPromise<void, { work: TargetWork; timeMs: number }>(({ input: { work, timeMs } }) => work.end(timeMs)),
  },
  actions: {
    fail: ({ event }) => {
      if (event.type === 'failed') throw event.thrown
    },
    pass: sendTo('cycle', ({ event }) => event),
    pickSlot: assign({ slotMs: ({ context }) => nextSlot(context, context.timers.nowMs(), context.slotMs) }),
    takeSlots: assign(({ event }) => (event.type === 'slots' ? event.slots : {})),
    keepRest: assign(({ context, event }) =>
      event.type === 'rested' ? { slotMs: event.slotMs, scrapes: context.scrapes + event.scrapes } : {},
    ),
  },
  delays: {
    untilGone: ({ context: { slotMs, timers, intervalMs } }) => Math.max(0, slotMs + intervalMs * 1.1 - timers.nowMs()),
  },
}).createMachine({
  id: 'target',
  context: ({ input }) => ({ ...input, slotMs: -Infinity, scrapes: 0 }),
  initial: 'scraping',
  on: { release: '.released' },
  states: {
    scraping: {
      invoke: {
        id: 'cycle',
        src: 'cycle',
        input: ({ context: { intervalMs, offsetMs, work, timers } }) => ({ intervalMs, offsetMs, work, timers }),
      },
      on: {
        failed: { actions: 'fail' },
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
        input: ({ context: { work, slotMs } }) => ({ work, timeMs: slotMs }),
        onDone: 'released',
        onError: 'released',
      },
    },
    released: { type: 'final' },
  },
})
