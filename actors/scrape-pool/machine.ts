import { fromCallback, sendTo, setup, type AnyEventObject } from 'xstate'
import type { TargetGroup } from '../../src/model/target-group.ts'
import type { JobSupplies } from '../../src/scrape/target-scrape.ts'
import type { ScrapePool } from './pool.ts'

export type PoolEvent =
  { type: 'sync'; groups: readonly TargetGroup[] } | { type: 'reload'; job: JobSupplies } | { type: 'dissolve' } | { type: 'stop' }

/**
 * The life of one job's scraping; the pool does the work, in an actor of its own, for it starts actors itself.
 *
 *   scraping ──sync | reload──▶ scraping
 *   scraping ──dissolve──▶ dissolving (series end one by one; the job is gone from the configuration)
 *   stop ──▶ stopped (final), from anywhere: at once, without staleness markers
 */
export const scrapePool = setup({
  types: {
    input: {} as { pool: ScrapePool },
    context: {} as { pool: ScrapePool },
    events: {} as PoolEvent,
  },
  actors: {
    work: fromCallback<AnyEventObject, { pool: ScrapePool }>(({ input: { pool }, receive }) => {
      receive((event) => {
        const todo = event as PoolEvent
        if (todo.type === 'sync') pool.sync(todo.groups)
        else if (todo.type === 'reload') pool.reload(todo.job)
        else if (todo.type === 'dissolve') pool.dissolve()
      })
      return () => pool.stop()
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
  on: { stop: '.stopped' },
  states: {
    scraping: {
      on: {
        sync: { actions: 'pass' },
        reload: { actions: 'pass' },
        dissolve: { target: 'dissolving', actions: 'pass' },
      },
    },
    dissolving: {},
    stopped: { type: 'final' },
  },
})
