import { setup } from 'xstate'

/**
 * One storage shard's life in its worker. What it owns (series, chunks, blocks) is in Shard; the machine says when.
 *
 *   starting ──▶ replaying, or ready where a machine before this one has got there
 *   replaying ──caughtUp──▶ ready ──after untilSnapshot──▶ snapshotting ──snapshotEnded──▶ ready     close ──▶ closed (final), from anywhere,
 *                             │    or logGrew                    │                                            with a last snapshot
 *                             └──windowPassed──▶ cutting ◀───────┘ windowPassed: the snapshot is given up
 *                                                   └──cutEnded──▶ snapshotting
 *
 * Records are applied in every state: the data plane never waits for the machine. Snapshots of the shards of a worker are staggered by `snapshotOffsetMs`.
 */
export const storageShard = setup({
  types: {
    input: {} as ShardMachineInput,
    context: {} as ShardMachineInput,
    events: {} as { type: 'caughtUp' | 'logGrew' | 'snapshotEnded' | 'windowPassed' | 'cutEnded' | 'close' },
  },
  actions: {
    snapshot: ({ context }) => context.snapshot(),
    giveUpSnapshot: ({ context }) => context.giveUpSnapshot(),
    lastSnapshot: ({ context }) => context.lastSnapshot(),
    cut: ({ context }) => context.cut(),
  },
  delays: {
    untilSnapshot: ({ context: { nowMs, snapshotEveryMs, snapshotOffsetMs } }) =>
      snapshotEveryMs - ((nowMs() - snapshotOffsetMs) % snapshotEveryMs),
  },
}).createMachine({
  id: 'storage-shard',
  context: ({ input }) => input,
  initial: 'starting',
  on: { close: '.closed' },
  states: {
    starting: { always: [{ guard: ({ context }) => context.isReplaying, target: 'replaying' }, { target: 'ready' }] },
    replaying: { on: { caughtUp: 'ready', windowPassed: { guard: ({ context }) => context.isFarBehind(), actions: 'cut' } } },
    ready: { after: { untilSnapshot: 'snapshotting' }, on: { logGrew: 'snapshotting', windowPassed: 'cutting' } },
    snapshotting: { entry: 'snapshot', exit: 'giveUpSnapshot', on: { snapshotEnded: 'ready', windowPassed: 'cutting' } },
    cutting: { entry: 'cut', on: { cutEnded: 'snapshotting' } },
    closed: { type: 'final', entry: 'lastSnapshot' },
  },
})

export type ShardMachineInput = Readonly<{
  nowMs: () => number
  snapshotEveryMs: number
  snapshotOffsetMs: number
  isReplaying: boolean
  /** Begins to write a snapshot of the shard; `snapshotEnded` is sent when that is over. How far the log may be trimmed is told. */
  snapshot: () => void
  /** Called when it is over, or is to be. */
  giveUpSnapshot: () => void
  /** Writes one now. */
  lastSnapshot: () => void
  /** Whether windows that have passed must be cut in a replay, too: memory is bounded. */
  isFarBehind: () => boolean
  /** Begins to cut the windows that have passed into blocks; `cutEnded` is sent when that is over. */
  cut: () => void
}>
