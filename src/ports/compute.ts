/**
 * Runs work next to the data: `lanes` are storage workers (worker threads in production, inline in the simulator). Each owns its shards.
 * A lane is reached over the Bus like anything else; Compute only starts and ends them.
 */
export interface Compute {
  /** Lanes this machine should have: one storage worker per remaining core, at least 1. */
  readonly lanesDefault: number
  /**
   * Starts a lane that runs the program at `entry` with `setup`, and gives the port to it. The promise fails where the lane ends before it is ready.
   * `onExit` is called once when it ends for any reason.
   */
  start(entry: LaneEntry, setup: unknown, onExit: (why: string) => void): Promise<Lane>
}

/** The two forms of one program: a module for a worker thread, a function to run inline. */
export type LaneEntry = Readonly<{ module: URL; inline: (port: LanePort, setup: unknown) => void | Promise<void> }>

/** One end of a lane: messages are structured clones; buffers in `transfer` move without a copy. Asynchronous and in order. */
export interface LanePort {
  send(message: unknown, transfer?: readonly ArrayBuffer[]): void
  onMessage(handler: (message: unknown) => void): void
  /** The next message where one has come already, else undefined; its handler does not get it. For work that cannot let the event loop turn. */
  take(): unknown
}

export interface Lane extends LanePort {
  readonly id: number
  end(): Promise<void>
}
