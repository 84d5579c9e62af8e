// What a lane's thread does: loads the lane's program and runs it on the port it was given.
import { parentPort } from 'node:worker_threads'
import type { LaneEntry } from '../compute.ts'
import { messageOf } from '../../base/errors.ts'
import { portOf, type LaneNotice, type LaneStart, type ThreadOrder } from './compute.ts'
import { nameSourcesInStacks } from './source-places.ts'
import type { ThreadProfiler } from './thread-profiler.ts'

/** @param setup the lane's, when it is there. @param load imports a program, built or not. */
export async function run(start: LaneStart, setup: Promise<unknown>, load: (url: string) => Promise<object>): Promise<void> {
  nameSourcesInStacks()
  const program = (await load(start.module)) as { lane?: (...args: Parameters<LaneEntry['inline']>) => void | Promise<void> }
  if (program.lane === undefined) throw new Error(`BUG: ${start.module} exports no function "lane"`)
  await program.lane(portOf(start.port), await setup)
  const tell = (notice: LaneNotice): void => parentPort!.postMessage(notice)

  // the inspector is loaded when it is wanted
  let profiler: Promise<ThreadProfiler> | null = null
  parentPort!.on('message', ({ id, order }: ThreadOrder) => {
    profiler ??= import('./thread-profiler.ts').then((loaded) => new loaded.ThreadProfiler())
    profiler
      .then((mine) => mine.do(order))
      .then(
        (answer) => tell({ kind: 'profile', id, answer }),
        (thrown: unknown) => tell({ kind: 'no profile', id, why: messageOf(thrown) }),
      )
  })
  tell({ kind: 'ready' })
}
