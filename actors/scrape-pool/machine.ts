import { fromCallback, sendTo, setup, type AnyEventObject } from 'xstate'
import type { TargetGroup } from '../../src/model/target-group.ts'
import type { JobSupplies } from '../../src/scrape/target-scrape.ts'
import type { ScrapePool } from './pool.ts'

export type PoolEvent = { type: 'sync'; groups: readonly TargetGroup[] } | { type: 'reload'; job: JobSupplies } | { type: 'dissolve' }

/** `groups` are the newest of discovery. `isRestart`: the machine failed before, in the middle of something. */
export type PoolInput = Readonly<{ pool: ScrapePool; groups: () => readonly TargetGroup[] | undefined; isRestart: boolean }>

/**
 * The life of one job's scraping; the pool does the work, in an actor of its own, for it starts actors itself. The targets do not live in this
 * machine: they are scraped while it is started again.
 *
 *   scraping ──sync | reload──▶ scraping
 *   scraping ──dissolve──▶ dissolving (series end one by one; the job is gone from the configuration)
 */
export const scrapePool = setup({
  types: {
    input: {} as PoolInput,
    context: {} as PoolInput,
    events: {} as PoolEvent,
  },
  actors: {
    work: fromCallback<AnyEventObject, PoolInput>(({ input: { pool, groups, isRestart }, receive }) => {
      if (isRestart) pool.recover(groups() ?? [])
      receive((event) => {
        const todo = event as PoolEvent
        if (todo.type === 'sync') pool.sync(todo.groups)
        else if (todo.type === 'reload') pool.reload(todo.job)
        else if (todo.type === 'dissolve') pool.dissolve()
      })
    }),
  },
  actions: {
    pass: sendTo('work', ({ event }) => event),
  },
}).createMachine({
  id: 'scrape-pool',
  context: ({ input }) => input,
  invoke: { id: 'work', src: 'work', input: ({ context }) => context },
  initial: 'scraping',
  states: {
    scraping: {
      on: {
        sync: { actions: 'pass' },
        reload: { actions: 'pass' },
        dissolve: { target: 'dissolving', actions: 'pass' },
      },
    },
    dissolving: {},
  },
})
