import { assign, fromPromise, setup } from 'xstate'
import { slotBefore } from '../../src/rules/slots.ts'

/** What the machine drives; src/rules GroupState is one. `evaluate` and `restore` never reject but for our own bugs. */
export interface GroupWork {
  readonly shouldRestore: boolean
  evaluate(slotMs: number): Promise<void>
  restore(): Promise<void>
  /** Slots that passed while an evaluation took too long. */
  missed(slots: number): void
  /** Ends a running evaluation before its next rule. */
  stop(): void
}

export type RuleGroupInput = Readonly<{
  work: GroupWork
  intervalMs: number
  phaseMs: number
  nowMs: () => number
  /** How far a machine got that failed: slots that passed since count as missed, or are evaluated where they are the latest. */
  before: RuleGroupProgress | null
}>
export type RuleGroupProgress = {
  /** The last slot evaluated; at first the one before the start. */
  slotMs: number
  evaluations: number
}

type Context = RuleGroupInput & RuleGroupProgress & { stopping: boolean }

/** Evaluations before `for` state is restored: by then scrapes and earlier rules have written what alerts look at. */
const evaluationsBeforeRestore = 2

/**
 * One rule group in time. Slots lie at `phaseMs + k * intervalMs`; the first is the next one after the start. An evaluation that takes longer
 * than the interval is followed at once by the latest slot that has passed; those between count as missed.
 *
 *   waiting ──slot──▶ evaluating ──done──▶ waiting          evaluating ──second time, if asked──▶ restoring ──done──▶ waiting
 *   stop: at once from waiting; from evaluating and restoring when they are done                       ──▶ stopped (final)
 */
export const ruleGroup = setup({
  types: {
    input: {} as RuleGroupInput,
    context: {} as Context,
    events: {} as { type: 'stop' },
  },
  actors: {
    evaluate: fromPromise<void, { work: GroupWork; slotMs: number }>(({ input }) => input.work.evaluate(input.slotMs)),
    restore: fromPromise<void, GroupWork>(({ input }) => input.restore()),
  },
  delays: {
    // never more than one interval, however the wall clock jumps
    untilSlot: ({ context: { slotMs, intervalMs, nowMs } }) => Math.min(intervalMs, Math.max(0, slotMs + intervalMs - nowMs())),
  },
  actions: {
    takeSlot: assign(({ context }) => {
      const { slotMs, intervalMs, nowMs, work, evaluations } = context
      const passed = Math.max(1, Math.floor((nowMs() - slotMs) / intervalMs))
      if (passed > 1) work.missed(passed - 1)
      return { slotMs: slotMs + passed * intervalMs, evaluations: evaluations + 1 }
    }),
    endEarly: assign(({ context }) => {
      context.work.stop()
      return { stopping: true }
    }),
  },
  guards: {
    stopping: ({ context }) => context.stopping,
    restoreNow: ({ context }) => context.work.shouldRestore && context.evaluations >= evaluationsBeforeRestore,
  },
}).createMachine({
  id: 'rule-group',
  context: ({ input }) => ({
    ...input,
    slotMs: input.before?.slotMs ?? slotBefore(input.nowMs(), input.intervalMs, input.phaseMs),
    evaluations: input.before?.evaluations ?? 0,
    stopping: false,
  }),
  initial: 'waiting',
  states: {
    waiting: {
      on: { stop: 'stopped' },
      after: { untilSlot: { target: 'evaluating', actions: 'takeSlot' } },
    },
    evaluating: {
      on: { stop: { actions: 'endEarly' } },
      invoke: {
        src: 'evaluate',
        input: ({ context: { work, slotMs } }) => ({ work, slotMs }),
        onDone: [{ guard: 'stopping', target: 'stopped' }, { guard: 'restoreNow', target: 'restoring' }, { target: 'waiting' }],
      },
    },
    restoring: {
      on: { stop: { actions: 'endEarly' } },
      invoke: {
        src: 'restore',
        input: ({ context: { work } }) => work,
        onDone: [{ guard: 'stopping', target: 'stopped' }, { target: 'waiting' }],
      },
    },
    stopped: { type: 'final' },
  },
})
