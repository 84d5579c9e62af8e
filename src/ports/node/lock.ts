// The exclusive lock on a data directory. Node has no flock, but it carries SQLite, which takes a kernel lock (fcntl) on the file it opens:
// it ends with the process however that ends, needs no process ids to be judged alive (wrong after a reboot and across containers that share
// a volume), and of two starters one wins. The file stays empty; SQLite never writes to it.
//
// The file is removed on release, as Prometheus removes its own: found at start it tells of an unclean end. So that nobody keeps a lock on a
// file that has lost its name, the file's identity is compared before opening and after locking: names come back only with new files, hence
// equal identity means the locked file is the one others will open.
//
// A Prometheus that runs on the same directory holds a BSD lock (flock) on the same file; Linux shows it in /proc/locks. That it refuses to start
// here, too, takes a lock of that kind. It belongs to the open file and not to a process, so a child takes it on a descriptor it is handed
// (util-linux' `flock -n 3`) and ends; the lock stays until this process has closed the file. The start goes on meanwhile.
// POSIX locks are dropped when the process closes any descriptor of the file: nobody else in this process may open it, and the descriptor of the
// BSD lock is closed after SQLite's.
import * as fs from 'node:fs'
import type { DatabaseSync } from 'node:sqlite'
import { messageOf, PromhiveError } from '../../base/errors.ts'
import type { DiskLock } from '../disk.ts'

const attemptsMax = 100
const sqliteBusy = 5
const sqliteNotDatabase = 26
const sqliteCorrupt = 11

/** @throws PromhiveError UNAVAILABLE where another process (or another lock of this one) holds the file, INTERNAL where it cannot be made. */
export function lockFile(path: string): DiskLock {
  // Not imported statically: a Node without SQLite must still be able to load the other adapters.
  const sqlite = process.getBuiltinModule('node:sqlite')
  if (sqlite === undefined) throw new PromhiveError('INTERNAL', `cannot lock ${path}: needs Node 22.13 or newer`, { path })
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    const before = identity(path, true)
    let database: DatabaseSync | undefined
    try {
      database = new sqlite.DatabaseSync(path, { timeout: 0 })
      database.exec('PRAGMA journal_mode = MEMORY; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE')
    } catch (thrown) {
      database?.close()
      const code = (thrown as { errcode?: unknown }).errcode
      if (code === sqliteNotDatabase || code === sqliteCorrupt) {
        fs.truncateSync(path) // an older Prometheus wrote its process id, or whatever else has been put there: its content means nothing
        continue
      }
      if (code === sqliteBusy) throw heldBy(path, holder(path, 'POSIX'))
      throw new PromhiveError('INTERNAL', `cannot lock ${path}: ${messageOf(thrown)}`, { path }, thrown)
    }
    if (identity(path, false) !== before) {
      database.close() // released and removed by its owner in between
      continue
    }
    const file = fs.openSync(path, 'r')
    const lock: Held = { database, file, isForeign: false }
    held.add(lock)
    const settled = lockAsPrometheus(path, file)
    settled.catch(() => void (lock.isForeign = true)) // who waits for it hears of it
    return { settled, release: () => release(path, lock) }
  }
  throw new PromhiveError('INTERNAL', `cannot lock ${path}: it kept changing`, { path })
}

/** Locks of this process. A handle nobody refers to would be collected, and its lock with it. */
const held = new Set<Held>()
type Held = Readonly<{ database: DatabaseSync; file: number }> & {
  /** A Prometheus holds the file: its name stays. */
  isForeign: boolean
}

function release(path: string, lock: Held): void {
  if (!held.delete(lock)) return
  if (!lock.isForeign) fs.rmSync(path, { force: true }) // first the name, then the lock: see above
  lock.database.close()
  fs.closeSync(lock.file)
}

/** How long `flock` may take; it takes some milliseconds. */
const settleMs = 10_000

/** Rejects where a Prometheus has the lock. Without the program, or on other systems, there is no such lock: then a Prometheus is not kept away. */
function lockAsPrometheus(path: string, file: number): Promise<void> {
  if (process.platform !== 'linux') return Promise.resolve()
  // loaded where there is a lock to take: storage workers have disks, and no use for it
  const { spawn } = process.getBuiltinModule('node:child_process')
  return new Promise((resolve, reject) => {
    const child = spawn('flock', ['-x', '-n', '3'], { stdio: ['ignore', 'ignore', 'ignore', file], timeout: settleMs })
    const unlessHeld = (): void => {
      const foreign = holder(path, 'FLOCK')
      if (foreign === null) resolve()
      else reject(heldBy(path, foreign))
    }
    child.on('error', unlessHeld)
    child.on('exit', (code) => (code === 0 ? resolve() : code === 1 ? reject(heldBy(path, holder(path, 'FLOCK'))) : unlessHeld()))
  })
}

/** Device, number and birth of the file at the path; '' where there is none. */
function identity(path: string, create: boolean): string {
  try {
    if (create) fs.closeSync(fs.openSync(path, 'wx'))
  } catch (thrown) {
    const code = (thrown as { code?: unknown }).code
    if (code !== 'EEXIST') throw new PromhiveError('INTERNAL', `cannot lock ${path}: ${messageOf(thrown)}`, { path }, thrown)
  }
  const stat = fs.statSync(path, { bigint: true, throwIfNoEntry: false })
  return stat === undefined ? '' : `${stat.dev} ${stat.ino} ${stat.birthtimeNs}`
}

/**
 * The process that holds a lock on the file, for those who could not get it (reading the table stops all locking of the machine and takes
 * some 10 ms): lines of /proc/locks such as `1: POSIX  ADVISORY  WRITE 4711 fe:00:10339050 1073741824 1073742335`.
 * Null where there is none or the system does not tell.
 */
function holder(path: string, kind: 'FLOCK' | 'POSIX'): number | null {
  let table: string
  let inode: bigint
  try {
    table = fs.readFileSync('/proc/locks', 'latin1')
    inode = fs.statSync(path, { bigint: true }).ino
  } catch {
    return null
  }
  for (const line of table.split('\n')) {
    const [, lockKind, , access, pid, file] = line.split(/\s+/)
    if (file === undefined || access !== 'WRITE' || BigInt(file.slice(file.lastIndexOf(':') + 1)) !== inode) continue
    if (lockKind === kind) return Number(pid)
  }
  return null
}

function heldBy(path: string, pid: number | null): PromhiveError {
  const who = pid === null || pid <= 0 ? 'another process' : `process ${pid}`
  return new PromhiveError('UNAVAILABLE', `cannot lock ${path}: held by ${who}`, { path, pid })
}
