import { assign, fromPromise, setup } from 'xstate'

/** What the machine drives: the queue of one Alertmanager. */
export interface SendWork {
  hasAlerts(): boolean
  /** Sends the oldest alerts. Never rejects: a batch that fails is dropped and counted. */
  sendBatch(): Promise<void>
  /** Gives up what is queued. */
  drop(): void
}

/**
 * Sends to one Alertmanager, a batch at a time.
 *
 *   idle ──work──▶ sending ──done, queue empty──▶ idle          sending ──done, more queued──▶ sending
 *   stop ──▶ draining: batch after batch until the queue is empty, or none where it is not to be drained ──▶ stopped (final)
 */
export const sendLoop = setup({
  types: {
    input: {} as { work: SendWork; drain: boolean },
    context: {} as { work: SendWork; drain: boolean; stopping: boolean },
    events: {} as { type: 'work' } | { type: 'stop' },
  },
  actors: { sendBatch: fromPromise<void, SendWork>(({ input }) => input.sendBatch()) },
  actions: { drop: ({ context }) => context.work.drop() },
  guards: {
    stopping: ({ context }) => context.stopping,
    hasAlerts: ({ context }) => context.work.hasAlerts(),
    drains: ({ context }) => context.drain && context.work.hasAlerts(),
  },
}).createMachine({
  id: 'send-loop',
  context: ({ input }) => ({ ...input, stopping: false }),
  initial: 'idle',
  states: {
    idle: {
      always: { guard: 'hasAlerts', target: 'sending' },
      on: { work: { guard: 'hasAlerts', target: 'sending' }, stop: 'draining' },
    },
    sending: {
      on: { stop: { actions: assign({ stopping: true }) } },
      invoke: {
        src: 'sendBatch',
        input: ({ context: { work } }) => work,
        onDone: [{ guard: 'stopping', target: 'draining' }, { target: 'idle' }],
      },
    },
    draining: { always: [{ guard: 'drains', target: 'drainingBatch' }, { target: 'stopped' }] },
    drainingBatch: {
      invoke: { src: 'sendBatch', input: ({ context: { work } }) => work, onDone: 'draining' },
    },
    stopped: { type: 'final', entry: 'drop' },
  },
})
