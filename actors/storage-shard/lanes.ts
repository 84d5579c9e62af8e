// The main thread's side of the storage workers: starts them, feeds each shard's log to the lane that owns it, asks them, and starts a lane
// that has died again from its snapshots and the log.
import type { Cancellation } from '../../src/base/cancel.ts'
import { messageOf, PromhiveError } from '../../src/base/errors.ts'
import type { Logger } from '../../src/base/logger.ts'
import type { Clock } from '../../src/ports/clock.ts'
import type { Compute, Lane, LaneEntry } from '../../src/ports/compute.ts'
import type { Rng } from '../../src/base/rng.ts'
import type { Log, LogRecord } from '../../cluster/ports.ts'
import { backOffMs, restartDefault } from '../runtime/back-off.ts'
import { publisherEpochs } from './shard.ts'
import { cancelSlots, type FromLane, type LaneRecord, type LaneSetup, type ToLane } from './lane-protocol.ts'

/** How far a start has come: records of the log to replay, and those that are applied. */
export type ReplayProgress = { total: number; done: number }

export type LanesOptions = Readonly<{
  /** Kept up to date. */
  replay: ReplayProgress
  compute: Compute
  entry: LaneEntry
  clock: Clock
  /** Where the log lies: for what is told of it. */
  logDirectory: string
  random: Pick<Rng, 'next'>
  logger: Logger
  setup: Omit<LaneSetup, 'lane' | 'shards' | 'cancelFlags' | 'labelStamps'>
  lanes: number
  /** Called for every part of the log that was, or should have been, removed. */
  onTrimmed: (durationMs: number, failed: boolean) => void
  /** Called for every applied record. */
  onApplied: (shard: number, offset: number, refusals: Uint32Array | null) => void
}>

/** Of records that are replayed, in one message. */
const replayBytes = 256 << 10

interface Running {
  readonly index: number
  readonly shards: readonly number[]
  lane: Lane | null
  readonly applied: Map<number, number>
  readonly follows: Map<number, () => void>
  /** Shards that replay: how far they must come, and who waits for it. */
  readonly replaying: Map<number, Readonly<{ end: number; done: () => void }>>
  outbox: LaneRecord[]
  outboxBytes: number
  flushing: boolean
  startedMs: number
  /** Ends in a row. */
  failures: number
}

type Request = Readonly<{
  lane: number
  slot: number
  resolve: (body: unknown) => void
  reject: (thrown: Error) => void
  signal: Cancellation | undefined
  cancel: (() => void) | null
}>

export class Lanes {
  readonly #options: LanesOptions
  readonly #running: Running[]
  readonly #requests = new Map<number, Request>()
  readonly #flags = new SharedArrayBuffer(cancelSlots * 4)
  readonly #cancelled = new Int32Array(this.#flags)
  readonly #stamps: SharedArrayBuffer
  readonly #labelStamps: Int32Array
  readonly #freeSlots = Array.from({ length: cancelSlots }, (_, i) => i)
  #nextRequest = 1
  #stopping = false
  #log: Promise<Log> | null = null
  /** Newest epoch any shard has seen, in snapshots or in the log. */
  publisher = 0
  readonly replay: ReplayProgress
  /** Starts of workers that had ended. */
  restarts = 0
  /** Records that shards had to do without, because the log was damaged. */
  recordsLost = 0
  /** Of them those that are there and cannot be read. */
  recordsCorrupt = 0

  constructor(options: LanesOptions) {
    this.#options = options
    this.replay = options.replay
    const { lanes, setup } = options
    this.#stamps = new SharedArrayBuffer(lanes * 4)
    this.#labelStamps = new Int32Array(this.#stamps)
    this.#running = Array.from({ length: lanes }, (_, index) => ({
      index,
      shards: Array.from({ length: setup.shardsTotal }, (_s, shard) => shard).filter((shard) => shard % lanes === index),
      lane: null,
      applied: new Map(),
      follows: new Map(),
      replaying: new Map(),
      outbox: [],
      outboxBytes: 0,
      flushing: false,
      startedMs: 0,
      failures: 0,
    }))
  }

  get count(): number {
    return this.#running.length
  }

  /** What a lane's answers about labels hold for: as long as it stays the same. */
  labelStamp(lane: number): number {
    return Atomics.load(this.#labelStamps, lane)
  }

  /** Resolves when every shard has replayed its log, which may be opened while the workers load their snapshots. */
  async start(log: Promise<Log>): Promise<void> {
    this.#log = log
    await Promise.all(this.#running.map((running) => this.#start(running)))
  }

  async #start(running: Running): Promise<void> {
    const { compute, entry, setup } = this.#options
    const opened = new Map(running.shards.map((shard) => [shard, Promise.withResolvers<void>()]))
    const lane = await compute.start(
      entry,
      { ...setup, lane: running.index, shards: running.shards, cancelFlags: this.#flags, labelStamps: this.#stamps } satisfies LaneSetup,
      (why) => this.#exited(running, why),
    )
    if (this.#stopping) return lane.end()
    running.lane = lane
    running.startedMs = this.#options.clock.monotonicMs()
    lane.onMessage((message) => this.#heard(running, message as FromLane, (shard) => opened.get(shard)!.resolve()))
    await Promise.all(
      Array.from(opened, async ([shard, { promise }]) => {
        await promise
        const log = await this.#log!
        const end = log.end(shard)
        const applied = running.applied.get(shard)!
        this.replay.total += Math.max(0, end - applied)
        const replayed = Promise.withResolvers<void>()
        if (applied < end) running.replaying.set(shard, { end, done: replayed.resolve })
        this.#follow(running, log, shard, applied + 1)
        if (applied < end) await replayed.promise
        if (running.lane === lane) this.#send(running, { kind: 'caughtUp', shard })
      }),
    )
  }

  #applied(running: Running, shard: number, offset: number): void {
    running.applied.set(shard, offset)
    const replaying = running.replaying.get(shard)
    if (replaying === undefined || offset < replaying.end) return
    running.replaying.delete(shard)
    replaying.done()
  }

  /** Hands records to the lane. What the log has lost is passed over and told: the rest is served. */
  #follow(running: Running, log: Log, shard: number, from: number): void {
    const lane = running.lane
    const cancel = log.follow(
      shard,
      from,
      (record) => this.#forward(running, shard, record),
      (why) => {
        if (running.lane !== lane || this.#stopping) return
        this.#flush(running)
        const { logger, logDirectory } = this.#options
        if (why.kind === 'regressed') {
          logger.error(
            { shard, log: logDirectory, applied: from - 1, ...why },
            'the log ends before what a shard has applied: its newest records are lost',
          )
          this.#applied(running, shard, why.last)
          this.#send(running, { kind: 'regressed', shard, last: why.last })
          this.#follow(running, log, shard, why.last + 1)
          return
        }
        const until = why.kind === 'truncated' ? why.first - 1 : why.offset
        if (why.kind === 'truncated') this.recordsLost += why.first - from
        else {
          this.recordsLost++
          this.recordsCorrupt++
        }
        logger.error({ shard, log: logDirectory, until, ...why }, 'records of the log are damaged: the shard goes on behind them')
        this.#send(running, { kind: 'skip', shard, until })
        this.#follow(running, log, shard, until + 1)
      },
    )
    running.follows.set(shard, cancel)
  }

  #forward(running: Running, shard: number, record: LogRecord): void {
    this.publisher = Math.max(this.publisher, record.publisher % publisherEpochs)
    running.outbox.push({ shard, ...record })
    running.outboxBytes += record.bytes.length
    // a shard that replays has its next records soon: a message for each would cost more than they do
    const replaying = running.replaying.get(shard)
    if (replaying !== undefined && record.offset < replaying.end && running.outboxBytes < replayBytes) return
    if (running.flushing) return
    running.flushing = true
    queueMicrotask(() => this.#flush(running))
  }

  #flush(running: Running): void {
    running.flushing = false
    const records = running.outbox
    if (records.length === 0) return
    running.outbox = []
    running.outboxBytes = 0
    // a record that has a buffer to itself is given away, one that lies in a segment is copied by the clone
    const transfer = records.flatMap(({ bytes }) => (bytes.byteLength === bytes.buffer.byteLength ? [bytes.buffer as ArrayBuffer] : []))
    this.#send(running, { kind: 'records', records }, transfer)
  }

  #unfollow(running: Running): void {
    for (const cancel of running.follows.values()) cancel()
    running.follows.clear()
  }

  #send(running: Running, message: ToLane, transfer: readonly ArrayBuffer[] = []): void {
    running.lane?.send(message, transfer)
  }

  #heard(running: Running, message: FromLane, opened: (shard: number) => void): void {
    switch (message.kind) {
      case 'opened':
        running.applied.set(message.shard, message.applied)
        this.publisher = Math.max(this.publisher, message.publisher)
        opened(message.shard)
        return
      case 'applied': {
        const { offsets, refusals } = message
        for (let i = 0; i < offsets.length; i += 2) {
          const shard = offsets[i]!
          const offset = offsets[i + 1]!
          this.#applied(running, shard, offset)
          if (this.replay.done < this.replay.total) this.replay.done++
          this.#options.onApplied(shard, offset, refusals?.get(i) ?? null)
        }
        return
      }
      case 'snapshot':
        void this.#trim(message.shard, message.trimBefore)
        return
      case 'answer':
        this.#settle(message.id)?.resolve(message.body)
        return
      case 'failure':
        this.#settle(message.id)?.reject(new PromhiveError(message.code, message.message, message.detail))
        return
      case 'log':
        this.#options.logger[message.level](message.fields, message.message)
        return
    }
  }

  async #trim(shard: number, before: number): Promise<void> {
    const { clock, logger, onTrimmed } = this.#options
    const started = clock.monotonicMs()
    let failed = false
    try {
      await (await this.#log!).trim(shard, before)
    } catch (thrown) {
      failed = true
      logger.error({ shard, err: messageOf(thrown) }, 'cannot trim the log: it is tried again after the next snapshot')
    }
    onTrimmed(clock.monotonicMs() - started, failed)
  }

  #settle(id: number): Request | undefined {
    const request = this.#requests.get(id)
    if (request === undefined) return undefined
    this.#requests.delete(id)
    if (request.cancel !== null) request.signal!.removeEventListener('abort', request.cancel)
    this.#cancelled[request.slot] = 0
    this.#freeSlots.push(request.slot)
    return request
  }

  #exited(running: Running, why: string): void {
    running.lane = null
    Atomics.add(this.#labelStamps, running.index, 1)
    this.#unfollow(running)
    running.outbox = []
    running.outboxBytes = 0
    for (const { done } of running.replaying.values()) done()
    running.replaying.clear()
    for (const [id, request] of this.#requests) {
      if (request.lane === running.index)
        this.#settle(id)?.reject(new PromhiveError('UNAVAILABLE', `storage worker ${running.index} ended: ${why}`))
    }
    if (this.#stopping) return
    const { clock, random } = this.#options
    if (clock.monotonicMs() - running.startedMs >= restartDefault.quietMs) running.failures = 0
    const delayMs = Math.round(backOffMs(restartDefault, running.failures++, random))
    this.restarts++
    this.#options.logger.error({ lane: running.index, why, delayMs }, 'a storage worker ended and is started again')
    clock.after(delayMs, () => {
      this.#start(running).catch((thrown: unknown) => this.#exited(running, String(thrown)))
    })
  }

  /** Asks one lane. The signal makes the lane stop within its next check. */
  ask<T>(lane: number, op: string, body: unknown, signal?: Cancellation): Promise<T> {
    const running = this.#running[lane]!
    if (running.lane === null) return Promise.reject(new PromhiveError('UNAVAILABLE', `storage worker ${lane} is not running`))
    const slot = this.#freeSlots.pop()
    if (slot === undefined)
      return Promise.reject(new PromhiveError('UNAVAILABLE', `${cancelSlots} requests are waiting for storage workers`))
    const id = this.#nextRequest++
    return new Promise<T>((resolve, reject) => {
      let cancel: (() => void) | null = null
      if (signal !== undefined) {
        cancel = () => void Atomics.store(this.#cancelled, slot, 1)
        if (signal.aborted) cancel()
        else signal.addEventListener('abort', cancel, { once: true })
      }
      this.#requests.set(id, { lane, slot, resolve: resolve as (body: unknown) => void, reject, signal, cancel })
      this.#send(running, { kind: 'request', id, slot, op, body })
    })
  }

  /** Asks every lane; the answers in lane order. */
  askAll<T>(op: string, body: unknown, signal?: Cancellation): Promise<T[]> {
    return Promise.all(this.#running.map((running) => this.ask<T>(running.index, op, body, signal)))
  }

  /** Ends the workers as they are: opening has failed. */
  async giveUp(): Promise<void> {
    this.#stopping = true
    await Promise.all(this.#running.map(async ({ lane }) => lane?.end()))
  }

  /** Snapshots every shard and ends the workers. */
  async stop(): Promise<void> {
    this.#stopping = true
    for (const running of this.#running) this.#unfollow(running)
    await Promise.allSettled(this.#running.map((running) => this.ask(running.index, 'close', null)))
    await Promise.all(this.#running.map(async (running) => running.lane?.end()))
  }
}
