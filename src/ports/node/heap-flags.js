// V8's flags for a process that moves much and keeps much: each with what it is by itself.
const flags = /** @type {const} */ ([
  // buffers from sockets come and go by the megabyte: without this V8 collects the whole heap for every 64 MiB of them
  ['--external-memory-accounted-in-global-limit', '--no-external-memory-accounted-in-global-limit'],
  // the main thread gives memory back later after a burst, and by one collection: V8 would begin after eight seconds to mark all that is alive twice,
  // which costs as much as ten seconds of scraping
  ['--gc-memory-reducer-start-delay-ms=120000', '--gc-memory-reducer-start-delay-ms=8000'],
  ['--memory-reducer-gc-count=1', '--memory-reducer-gc-count=2'],
])
// a thread that does not need it does not load it
const v8 = () => process.getBuiltinModule('node:v8')

/**
 * To be called before threads are started: they go without what gives memory back after a burst, the start's first of all. A storage worker's next
 * snapshot does that: its columns make V8 collect. V8 takes compiled code with and without this flag.
 */
export function setThreadFlags() {
  v8().setFlagsFromString('--no-memory-reducer')
}

/**
 * To be called when the program is loaded: V8 takes compiled code, that of node's own modules too, only under the flags it was compiled with, and a
 * thread that starts under others takes three times as long.
 */
export function setHeapFlags() {
  for (const [flag] of flags) v8().setFlagsFromString(flag)
}

/**
 * Calls it while no flag is set, whatever they are.
 * @param {() => void} task
 */
export function withoutHeapFlags(task) {
  const tag = v8().cachedDataVersionTag()
  for (const [, flag] of flags) v8().setFlagsFromString(flag)
  const wereSet = v8().cachedDataVersionTag() !== tag
  try {
    task()
  } finally {
    if (wereSet) setHeapFlags()
  }
}
