/**
 * What differs between one machine, many machines and the simulator. test/conformance/{bus,log,kv}.ts is the contract; nothing else is promised.
 * Delivery is asynchronous everywhere, the embedded adapters included.
 */

/** Subjects are dot-separated words; `*` matches one, a final `>` one or more. */
export interface Bus {
  publish(subject: string, message: BusMessage): void
  /** With `queue`, one member of the group gets each message. Returns the way out. */
  subscribe(subject: string, handler: (message: BusMessage, reply: BusReply) => void, queue?: string): () => void
  /**
   * One answer, or PromhiveError UNAVAILABLE (nobody listens) or QUERY_TIMEOUT (deadline passed). An error given to `reply.fail` is thrown here.
   * Where several listen without a queue, all of them get it and the first one to answer is heard. `deadlineMs` counts from now.
   */
  request(subject: string, message: BusMessage, deadlineMs: number): Promise<BusMessage>
  /** Answers until the responder ends, asked for when the loop starts; leaving the loop tells the responder to stop. `deadlineMs` is for all of it. */
  stream(subject: string, message: BusMessage, deadlineMs: number): AsyncIterable<BusMessage>
}
/** `body` is anything msgpackr or a structured clone can carry; `transfer` lists buffers in it that the sender gives away. */
export type BusMessage = Readonly<{ body: unknown; transfer?: readonly ArrayBuffer[] }>
export interface BusReply {
  /** False once the other side has gone: stop working. */
  readonly wanted: boolean
  /** One answer of a stream, or the only one of a request. */
  send(message: BusMessage): void
  /** Resolves when the other side has room for more, or has gone. Long streams wait for it between answers; a stream that runs far ahead is failed. */
  room(): Promise<void>
  end(): void
  fail(thrown: unknown): void
}

/** An append-only log per shard. Offsets grow by one per record and start at 1 in a new log. */
export interface Log {
  /** Resolves when the record is durable. At most one append per (publisher, shard) is under way at a time; `sequence` lets a reader drop the second copy after `ambiguous`. */
  append(shard: number, record: Uint8Array, id: Readonly<{ publisher: number; sequence: number }>): Promise<AppendOutcome>
  /** Records from `from` on, gapless and in order, up to the end at the time of the call. */
  read(shard: number, from: number): AsyncIterable<LogRecord>
  /** Calls the handler for every record from `from` on, as it becomes durable, in order, until cancelled. */
  follow(shard: number, from: number, handler: (record: LogRecord) => void, failed: (why: LogReadFailure) => void): () => void
  /** Offset of the last durable record; 0 where there is none. */
  end(shard: number): number
  /** Offset of the first record still held; end + 1 where there is none. */
  first(shard: number): number
  /** Records below `before` may be dropped. */
  trim(shard: number, before: number): Promise<void>
  close(): Promise<void>
}
export type LogRecord = Readonly<{ offset: number; publisher: number; sequence: number; bytes: Uint8Array }>
export type AppendOutcome =
  | Readonly<{ kind: 'ok'; offset: number }>
  | Readonly<{ kind: 'ambiguous'; why: string }> // may be stored: retry with the same sequence
  | Readonly<{ kind: 'full'; why: string }>
  | Readonly<{ kind: 'unavailable'; why: string }>
  | Readonly<{ kind: 'tooBig'; bytesMax: number }>
/** `read` and `follow` end with one of these where they cannot be gapless: PromhiveError-like, thrown by read, handed to `failed` by follow. */
export type LogReadFailure = Readonly<
  { kind: 'truncated'; first: number } | { kind: 'regressed'; last: number } | { kind: 'corrupt'; offset: number; why: string }
>

/** Keyed values with versions. */
export interface Kv {
  /** Null where the key was never set or was deleted. */
  get(key: string): Promise<Readonly<{ value: Uint8Array; version: number }> | null>
  /** Compare-and-set. expected: version read, 0 = must not exist. Null: another writer won. Throws where the outcome is unknown. */
  put(key: string, value: Uint8Array, expected: number): Promise<number | null>
  /** Creates with an expiry; null where the key exists. */
  create(key: string, value: Uint8Array, ttlMs: number): Promise<number | null>
  delete(key: string, expected: number): Promise<boolean>
  /** Every change after `version` (0 = current values first, then changes), in order, until cancelled. Expiry need not be told. */
  watch(prefix: string, version: number, handler: (change: KvChange) => void): () => void
}
export type KvChange = Readonly<{ key: string; value: Uint8Array | null; version: number }>
