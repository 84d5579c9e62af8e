import type { TargetGroup } from '../../src/model/target-group.ts'
import type { ScrapeOptions } from '../../src/scrape/options.ts'
import { channel } from '../../protocols/bus/control.ts'

/** The jobs a node scrapes from now on: all of them. Fails with CONFIG_INVALID where a job cannot be set up; the others are taken. */
export const assignJobs = channel<readonly ScrapeOptions[], null>('scrape.assign')

/** What discovery knows of one job: all its groups. A group that did not change is the same object where it comes from the same process. */
export const discoveredTargets = channel<Readonly<{ job: string; groups: readonly TargetGroup[] }>, null>('scrape.discovered')
