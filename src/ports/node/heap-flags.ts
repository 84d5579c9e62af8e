// V8's flags for a process that moves much and keeps much.
import { setFlagsFromString } from 'node:v8'

/**
 * To be called when the program is loaded: V8 takes compiled code, that of node's own modules too, only under the flags it was compiled with, and a
 * thread that starts under others takes three times as long.
 */
export function setHeapFlags(): void {
  // buffers from sockets come and go by the megabyte: without this V8 collects the whole heap for every 64 MiB of them
  setFlagsFromString('--external-memory-accounted-in-global-limit')
  // memory is given back two minutes after a burst, as Go does, and by one collection: eight seconds after the start V8 would begin to mark all that is
  // alive twice, in every thread, which costs as much as ten seconds of scraping
  setFlagsFromString('--gc-memory-reducer-start-delay-ms=120000')
  setFlagsFromString('--memory-reducer-gc-count=1')
}
