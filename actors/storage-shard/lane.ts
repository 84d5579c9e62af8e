// A storage worker: the shards of one lane, their head and blocks, and everything that reads them. Runs in a worker thread or, in the
// simulator, inline; what comes from outside (disk, clock, port) is given to it.
//
//   open: newest whole snapshot of every shard ─▶ `opened` of each ─▶ records replay ─▶ `caughtUp` ─▶ ready
import { PromhiveError } from '../../src/base/errors.ts'
import type { Logger } from '../../src/base/logger.ts'
import { MetricsRegistry, type MetricFamily } from '../../src/base/metrics.ts'
import type { Clock } from '../../src/ports/clock.ts'
import type { LanePort } from '../../src/ports/compute.ts'
import type { Disk } from '../../src/ports/disk.ts'
import type { Random } from '../../src/ports/random.ts'
import { SharedPages } from '../../src/base/shared-pages.ts'
import { ChunkStore } from '../../src/tsdb/head/chunk-store.ts'
import { ExemplarRing } from '../../src/tsdb/head/exemplars.ts'
import { Head } from '../../src/tsdb/head/head.ts'
import { ActorRuntime } from '../runtime/runtime.ts'
import type { ActorHandle } from '../runtime/supervised.ts'
import type { FromLane, LaneRecord, LaneSetup, ToLane } from './lane-protocol.ts'
import { storageShard } from './machine.ts'
import { countFields, publisherEpochs, Shard } from './shard.ts'
import { FileBuffer, loadSnapshot, shardDirectory, snapshotSizes } from './shard-files.ts'
import { answerPagesMax } from './lane-answer.ts'
import { LaneBlocks } from './lane-blocks.ts'
import { LaneJobs } from './lane-jobs.ts'
import { LaneSnapshots } from './lane-snapshots.ts'
import { LaneTasks } from './lane-tasks.ts'
import { SnapshotSchedule } from './snapshot-schedule.ts'
import { laneRequests, type Answer, type RequestContext } from './lane-requests.ts'

/** `nextTurn`: runs a function when the messages that wait have been handled; default: a timer without delay. */
export type LanePorts = Readonly<{ disk: Disk; clock: Clock; random: Random; nextTurn?: (task: () => void) => void }>

type LaneRequest = Extract<ToLane, { kind: 'request' }>

type AnswerParts = Readonly<{
  handlers: ReturnType<typeof laneRequests>
  tasks: LaneTasks
  takeMessages: () => void
  setup: LaneSetup
  ports: LanePorts
  send: (message: FromLane, transfer?: readonly ArrayBuffer[]) => void
  onDamage: (damage: PromhiveError) => void
}>

type Machines = ReadonlyMap<number, ActorHandle<typeof storageShard>>

/** Everything a request may look at. */
export type LaneState = Readonly<{
  setup: LaneSetup
  head: Head
  exemplars: ExemplarRing
  shards: ReadonlyMap<number, Shard>
  blocks: LaneBlocks
  ports: LanePorts
  log: Logger
  /** Where JSON answers are written. */
  pages: SharedPages
  /** Files of blocks that requests have found damaged. */
  damagedFiles: Set<string>
  /** What has gone wrong with the head's files, and the shards' actors. */
  families: () => readonly MetricFamily[]
}>

/** Starts the lane and answers on the port until it is closed. */
export function startLane(port: LanePort, setup: LaneSetup, ports: LanePorts): void {
  const send = (message: FromLane, transfer?: readonly ArrayBuffer[]): void => port.send(message, transfer)
  const log = laneLogger(send, { lane: setup.lane })
  const chunks = new ChunkStore(
    ports.disk,
    (shard) => `${shardDirectory(setup.dataDirectory, shard)}/chunks`,
    setup.residentBytesMax,
    (problem) =>
      log.error(
        { ...problem },
        problem.chunks > 0
          ? 'head chunks are damaged and set aside: the rest is served'
          : 'cannot write full head chunks: they stay in memory',
      ),
    setup.headSegmentBytes,
  )
  const head = new Head(chunks, { samplesPerChunk: setup.samplesPerChunk, chunkRangeMs: setup.chunkRangeMs })
  const exemplars = new ExemplarRing(setup.exemplarsMax)
  const shards = new Map<number, Shard>()
  const machines = new Map<number, ActorHandle<typeof storageShard>>()
  const metrics = new MetricsRegistry()
  const runtime = new ActorRuntime({ clock: ports.clock, random: ports.random, bus: null, logger: log, metrics })
  const appliedAtStart = new Map<number, number>()
  const caughtUp = new Set<number>()
  let snapshotsDamaged = 0
  const schedule = new SnapshotSchedule(ports.clock, setup.snapshotTailUs, (id) => machines.get(id)!.send({ type: 'logGrew' }))
  const room = snapshotSizes(ports.disk, setup.dataDirectory, setup.shards)
  // and for what comes next: what is not touched costs nothing
  head.reserve(Math.ceil(room.series * 1.125))
  chunks.reserve(room.chunks)
  const buffer = new FileBuffer()
  for (const id of setup.shards) {
    const shard = new Shard(id, head, exemplars, log)
    const found = loadSnapshot(ports.disk, setup.dataDirectory, { shard: id, head, log, buffer, onDamaged: () => snapshotsDamaged++ })
    if (found !== null) shard.restore(found.state)
    schedule.opened(id, found?.series ?? 0)
    chunks.sweep(id)
    shards.set(id, shard)
    appliedAtStart.set(id, shard.applied)
    const publisher = Array.from(shard.publishers.keys(), (key) => key % publisherEpochs).reduce((a, b) => Math.max(a, b), 0)
    // its records are read while the others are loaded
    send({ kind: 'opened', shard: id, applied: shard.applied, publisher })
  }
  head.index()
  const jobs = new LaneJobs(ports.clock, setup.sliceMs)
  const nextTurn = ports.nextTurn ?? ((task: () => void) => void ports.clock.after(0, task))
  /** Requests that came while another ran: they are begun one a turn. */
  const requests: LaneRequest[] = []
  const beginNext = (): boolean => {
    // what closes the worker waits until nothing runs
    if (requests.length === 0 || requests[0]!.op === 'close') return false
    begin(requests.shift()!)
    return true
  }
  const tasks = new LaneTasks(ports.clock, setup.sliceMs, nextTurn, beginNext)
  const labelStamps = new Int32Array(setup.labelStamps)
  const onChange = (): void => void Atomics.add(labelStamps, setup.lane, 1)
  head.onLabels = onChange
  const blocks = new LaneBlocks({
    disk: ports.disk,
    clock: ports.clock,
    jobs,
    views: head.views,
    setup,
    log,
    shards,
    isReplaying: () => caughtUp.size < setup.shards.length,
    onChange,
  })
  blocks.open()
  const late = metrics.histogram(
    'prometheus_tsdb_sample_ooo_delta',
    'Delta in seconds by which a sample is considered out of order (reported regardless of OOO time window and whether sample is accepted or not).',
    [600, 1800, 3600, 7200, 10_800, 21_600, 43_200],
  )
  for (const [id, shard] of shards) {
    shard.onLate = (behindMs) => late.observe(behindMs / 1000)
    shard.onDeletions = (offset, deletions) => blocks.deletions.apply(id, offset, deletions)
    shard.onCutStaleSeries = (offset) => blocks.startStaleCut(shard, offset, !caughtUp.has(id))
  }
  // a shard whose own state is lost must not take what its blocks cover already
  const startBehindBlocks = (shard: Shard): void => {
    if (shard.applied === 0) shard.cutUntil = Math.max(shard.cutUntil, blocks.cutUntil(shard.id))
  }
  const state: LaneState = {
    setup,
    head,
    exemplars,
    shards,
    blocks,
    ports,
    log,
    pages: new SharedPages(answerPagesMax),
    damagedFiles: new Set(),
    families: () => [...headFamilies(chunks, snapshotsDamaged, snapshots), ...metrics.families()],
  }

  const { dataDirectory } = setup
  const { disk, clock } = ports
  const snapshots = new LaneSnapshots({ disk, dataDirectory, clock, jobs, chunks, blocks, schedule, log, send }, appliedAtStart)
  for (const [id, shard] of shards) {
    const machine = runtime.start({
      id: `shard ${id}`,
      kind: 'storage-shard',
      machine: storageShard,
      input: () => ({
        nowMs: () => ports.clock.nowMs(),
        snapshotEveryMs: setup.snapshotEveryMs,
        snapshotOffsetMs: (id * setup.snapshotEveryMs) / setup.shardsTotal,
        isReplaying: !caughtUp.has(id),
        snapshot: () => snapshots.start(shard, () => machines.get(id)!.send({ type: 'snapshotEnded' })),
        giveUpSnapshot: () => snapshots.giveUp(shard),
        lastSnapshot: () => snapshots.now(shard),
        isFarBehind: () => blocks.isFarBehind(shard),
        cut: () => blocks.startCut(shard, () => machines.get(id)!.send({ type: 'cutEnded' })),
      }),
      stopEvent: { type: 'close' },
      finishes: true,
    })
    machines.set(id, machine)
  }
  const handlers = laneRequests(state)
  /** What has come in the middle of a request: records are applied now, requests wait until it pauses. */
  const takeMessages = (): void => {
    for (let message = port.take(); message !== undefined; message = port.take()) heard(message as ToLane, true)
  }
  const nextRequest = (): void => {
    const request = requests.shift()
    if (request !== undefined) begin(request)
    if (requests.length > 0) nextTurn(nextRequest)
  }
  const onDamage = ({ message, detail }: PromhiveError): void => {
    const file = String(detail['file'])
    if (state.damagedFiles.has(file)) return
    state.damagedFiles.add(file)
    log.error({ file, err: message }, 'a file of a block is damaged: requests that read it fail, the others are answered')
  }
  const begin = (given: LaneRequest): void => {
    if (given.op === 'close') {
      jobs.stop()
      tasks.stop()
      schedule.stop()
      // a shard closes within the call: its last snapshot is written when this goes on
      for (const machine of machines.values()) void machine.stop(0)
      blocks.close()
      send({ kind: 'answer', id: given.id, body: null })
      return
    }
    answer(given, { handlers, tasks, takeMessages, setup, ports, send, onDamage })
  }
  const heard = (given: ToLane, inRequest: boolean): void => {
    switch (given.kind) {
      case 'records':
        head.views.advance()
        return apply(given.records, state, machines, schedule, send)
      case 'skip':
        startBehindBlocks(shards.get(given.shard)!)
        shards.get(given.shard)!.skip(given.until)
        send({ kind: 'applied', offsets: Float64Array.of(given.shard, given.until), refusals: null })
        return
      case 'regressed':
        shards.get(given.shard)!.regress(given.last)
        blocks.regressed(given.shard, given.last)
        snapshots.regressed(shards.get(given.shard)!, given.last)
        return
      case 'caughtUp':
        startBehindBlocks(shards.get(given.shard)!)
        caughtUp.add(given.shard)
        machines.get(given.shard)!.send({ type: 'caughtUp' })
        // windows are not cut before: deletions that follow in the log are in their blocks then
        if (blocks.canCut(shards.get(given.shard)!)) machines.get(given.shard)!.send({ type: 'windowPassed' })
        return
      case 'request':
        if (!inRequest && requests.length === 0) return begin(given)
        if (requests.push(given) === 1) nextTurn(nextRequest)
        return
    }
  }
  port.onMessage((message) => heard(message as ToLane, false))
}

/** Applies records in order. */
function apply(
  records: readonly LaneRecord[],
  { shards, blocks }: LaneState,
  machines: Machines,
  schedule: SnapshotSchedule,
  send: (message: FromLane, transfer?: readonly ArrayBuffer[]) => void,
): void {
  const offsets = new Float64Array(records.length * 2)
  let refused: Map<number, Uint32Array> | null = null
  const counts = new Float64Array(countFields.length)
  const refusals: number[] = []
  records.forEach((record, i) => {
    const shard = shards.get(record.shard)!
    refusals.length = 0
    const before = sum(counts)
    const created = shard.head.seriesCreated
    shard.apply(record.offset, record.publisher, record.sequence, record.bytes, counts, refusals)
    schedule.applied(record.shard, sum(counts) - before, shard.head.seriesCreated - created)
    offsets[i * 2] = record.shard
    offsets[i * 2 + 1] = record.offset
    if (refusals.length > 0) (refused ??= new Map()).set(i * 2, Uint32Array.from(refusals))
    if (blocks.canCut(shard)) {
      machines.get(record.shard)!.send({ type: 'windowPassed' })
      blocks.catchUp(shard)
    }
  })
  send({ kind: 'applied', offsets, refusals: refused }, [offsets.buffer])
}

/** Answers within the call where the request allows it: another one may be under way below. */
function answer(request: LaneRequest, parts: AnswerParts): void {
  const { handlers, tasks, takeMessages, setup, ports, send, onDamage } = parts
  const flags = new Int32Array(setup.cancelFlags)
  const context: RequestContext = {
    cancelled: () => Atomics.load(flags, request.slot) !== 0,
    monotonicMs: () => ports.clock.monotonicMs(),
    pause(freeze) {
      if (!tasks.isSliceOver()) return false
      freeze()
      takeMessages()
      tasks.serveOthers()
      return true
    },
  }
  const done = ({ body, transfer }: Answer): void => send({ kind: 'answer', id: request.id, body }, transfer)
  const failed = (thrown: unknown): void => {
    if (thrown instanceof PromhiveError) {
      if (thrown.code === 'STORAGE_CORRUPT') onDamage(thrown)
      send({ kind: 'failure', id: request.id, code: thrown.code, message: thrown.message, detail: {} })
      return
    }
    const error = thrown instanceof Error ? thrown : new Error(String(thrown))
    send({
      kind: 'log',
      level: 'error',
      fields: { lane: setup.lane, op: request.op, err: error.stack },
      message: 'a request to a storage worker failed',
    })
    send({ kind: 'failure', id: request.id, code: 'INTERNAL', message: error.message, detail: {} })
  }
  try {
    const handler = handlers[request.op]
    if (handler === undefined) throw new Error(`BUG: a storage worker has no operation ${request.op}`)
    const given = handler(request.body, context)
    if ('next' in given) tasks.run<Answer>(given, context.cancelled, done, failed)
    else if (given instanceof Promise) given.then(done).catch(failed)
    else done(given)
  } catch (thrown) {
    failed(thrown)
  }
}

function headFamilies(chunks: ChunkStore, snapshotsDamaged: number, { written, failed }: LaneSnapshots): MetricFamily[] {
  const counter = (name: string, help: string, value: number): MetricFamily => ({
    name,
    help,
    kind: 'counter',
    samples: [{ suffix: '', labels: [], value }],
  })
  // a head snapshot is what a checkpoint is elsewhere: the log before it is not needed, and a new one replaces the one before the last
  const checkpoints = (name: string, help: string, value: number): MetricFamily =>
    counter(`prometheus_tsdb_checkpoint_${name}_total`, help, value)
  return [
    checkpoints('creations', 'Total number of checkpoint creations attempted.', written + failed),
    checkpoints('creations_failed', 'Total number of checkpoint creations that failed.', failed),
    checkpoints('deletions', 'Total number of checkpoint deletions attempted.', written),
    checkpoints('deletions_failed', 'Total number of checkpoint deletions that failed.', 0),
    counter('prometheus_tsdb_mmap_chunk_corruptions_total', 'Total number of memory-mapped chunk corruptions.', chunks.segmentsLost),
    counter('prometheus_tsdb_snapshot_replay_error_total', 'Total number snapshot replays that failed.', snapshotsDamaged),
    counter('promhive_head_chunks_lost_total', 'Full chunks of the head that were lost to damaged files.', chunks.chunksLost),
    counter('promhive_head_chunk_writes_failed_total', 'Writes of full head chunks that failed.', chunks.failedWrites),
    counter('promhive_head_snapshots_failed_total', 'Head snapshots that could not be written.', failed),
  ]
}

function laneLogger(send: (message: FromLane) => void, fields: Readonly<Record<string, unknown>>): Logger {
  const at =
    (level: 'debug' | 'info' | 'warn' | 'error') =>
    (more: Readonly<Record<string, unknown>>, message: string): void =>
      send({ kind: 'log', level, fields: { ...fields, ...more }, message })
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: (more) => laneLogger(send, { ...fields, ...more }),
  }
}

/** Samples that were looked at, whatever became of them. */
function sum(counts: Float64Array): number {
  let samples = 0
  for (let i = 0; i < counts.length; i++) samples += counts[i]!
  return samples
}
