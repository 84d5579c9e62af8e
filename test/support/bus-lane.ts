// A lane's program for tests that joins the bus and answers one subject.
import { leafBus } from '../../cluster/embedded/bus-bridge.ts'
import type { LanePort } from '../../src/ports/compute.ts'
import { nodeClock } from '../../src/ports/node/clock.ts'

export function lane(port: LanePort, setup: unknown): void {
  const bus = leafBus(port, nodeClock(), (thrown) => {
    throw thrown
  })
  bus.subscribe(`lane.${(setup as { name: string }).name}.sum`, ({ body }, reply) => {
    reply.send({ body: (body as Float64Array).reduce((a, b) => a + b, 0) })
  })
}
