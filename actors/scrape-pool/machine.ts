import { setup } from 'xstate'
import type { TargetGroup } from '../../src/model/target-group.ts'
import type { JobSupplies } from '../../src/scrape/target-scrape.ts'
import type { ScrapePool } from './pool.ts'

/**
 * The life of one job's scraping; the pool does the work.
 *
 *   scraping ──sync | reload──▶ scraping
 *   scraping ──dissolve──▶ dissolving (series end one by one; the job is gone from the configuration)
 *   stop ──▶ stopped (final), from anywhere: at once, without staleness markers
 */
export const scrapePool = setup({
  types: {
    input: {} as { pool: ScrapePool },
    context: {} as { pool: ScrapePool },
    events: {} as
      { type: 'sync'; groups: readonly TargetGroup[] } | { type: 'reload'; job: JobSupplies } | { type: 'dissolve' } | { type: 'stop' },
  },
  actions: {
    sync: ({ context, event }) => {
      if (event.type === 'sync') context.pool.sync(event.groups)
    },
    reload: ({ context, event }) => {
      if (event.type === 'reload') context.pool.reload(event.job)
    },
    dissolve: ({ context }) => context.pool.dissolve(),
    stop: ({ context }) => context.pool.stop(),
  },
}).createMachine({
  id: 'scrape-pool',
  context: ({ input }) => input,
  initial: 'scraping',
  on: { stop: { target: '.stopped', actions: 'stop' } },
  states: {
    scraping: {
      on: {
        sync: { actions: 'sync' },
        reload: { actions: 'reload' },
        dissolve: { target: 'dissolving', actions: 'dissolve' },
      },
    },
    dissolving: {},
    stopped: { type: 'final' },
  },
})
