// Name look-ups for connections. getaddrinfo blocks a thread of libuv's small pool, which the log's writes and syncs need too: with a dead name
// server a few hundred targets would stop the log. So only some run at a time, and equal questions share one.
import { lookup, type LookupAddress, type LookupAllOptions } from 'node:dns'
import type { LookupFunction } from 'node:net'

type Answer = (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void
type Question = Readonly<{ key: string; hostname: string; options: LookupAllOptions }>

/** Threads left to files. */
const lookupsMax = Math.max(2, Number(process.env['UV_THREADPOOL_SIZE'] ?? 4) - 2)
const asking = new Map<string, Answer[]>()
const waiting: Question[] = []
let running = 0

/** For the `lookup` option of net.connect. */
export const boundedLookup: LookupFunction = (hostname, options, callback) => {
  const { all, ...rest } = options
  const key = `${hostname} ${options.family ?? 0} ${options.hints ?? 0} ${options.order ?? ''}`
  const answer: Answer = (error, addresses) => {
    if (error !== null) callback(error, [])
    else if (all === true) callback(null, addresses)
    else callback(null, addresses[0]!.address, addresses[0]!.family)
  }
  const others = asking.get(key)
  if (others !== undefined) return void others.push(answer)
  asking.set(key, [answer])
  waiting.push({ key, hostname, options: { ...rest, all: true } })
  next()
}

function next(): void {
  while (running < lookupsMax) {
    const question = waiting.shift()
    if (question === undefined) return
    running++
    lookup(question.hostname, question.options, (error, addresses) => {
      running--
      const answers = asking.get(question.key)!
      asking.delete(question.key)
      next()
      for (const answer of answers) answer(error, addresses)
    })
  }
}
