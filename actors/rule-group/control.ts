import type { RuleManagerOptions } from '../../src/rules/options.ts'
import { channel } from '../../protocols/bus/control.ts'

/** The groups a node evaluates from now on: all of them. Answered when groups that are replaced or gone have ended. */
export const assignGroups = channel<RuleManagerOptions, null>('rules.assign')
