// A lane's program for tests: echoes, moves buffers, dies when told to.
import type { LanePort } from '../../src/ports/compute.ts'

export function lane(port: LanePort, setup: unknown): void {
  if (setup === 'fail') throw new Error('cannot set up')
  port.onMessage((message) => {
    if (message === 'die') {
      // As an uncaught error does it, in whichever thread this runs.
      if (typeof setup === 'object' && setup !== null && 'inline' in setup) port.send('dying')
      else
        queueMicrotask(() => {
          throw new Error('told to die')
        })
    } else if (message instanceof Float64Array) {
      const buffer = message.buffer as ArrayBuffer
      port.send({ setup, sum: message.reduce((a, b) => a + b, 0), back: message }, [buffer])
    } else port.send({ setup, message })
  })
}
