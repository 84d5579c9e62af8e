// What an append to the embedded log costs, and opening and reading it back. Small in every run; BENCH=1 for real sizes.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { openEmbeddedLog } from '../../cluster/embedded/log.ts'
import { seededRng } from '../../src/base/rng.ts'
import { nodeDisk } from '../../src/ports/node/disk.ts'
import { nextTurn } from '../../src/ports/node/turn.ts'

const large = process.env['BENCH'] === '1'
const root = mkdtempSync(join(process.env['BENCH_DIR'] ?? tmpdir(), 'promhive-bench-log-'))
afterAll(() => rmSync(root, { recursive: true }))

it.each([
  // bytes a record, records, publishers with one append each under way
  [200, large ? 400_000 : 2_000, 64],
  [16 << 10, large ? 60_000 : 200, 8],
  [256 << 10, large ? 4_000 : 20, 8],
])('records of %i bytes', async (bytes, records, publishers) => {
  const directory = join(root, String(bytes))
  const open = () => openEmbeddedLog({ disk: nodeDisk(), directory, pause: nextTurn })
  const log = await open()
  const rng = seededRng(bytes)
  const record = Uint8Array.from({ length: bytes }, () => rng.below(256))
  let commits = 0
  let followed = 0
  for (let shard = 0; shard < 8; shard++)
    log.follow(
      shard,
      1,
      (r) => void (followed += r.bytes.length),
      (why) => expect.fail(JSON.stringify(why)),
    )
  let next = 0
  const publish = async (publisher: number): Promise<void> => {
    while (next < records) {
      const outcome = await log.append(publisher % 8, record, { publisher, sequence: next++ })
      if (outcome.kind !== 'ok') throw new Error(JSON.stringify(outcome))
      commits++
    }
  }
  const cpu = process.cpuUsage()
  const start = performance.now()
  await Promise.all(Array.from({ length: publishers }, (_, publisher) => publish(publisher)))
  const appendMs = performance.now() - start
  const { user, system } = process.cpuUsage(cpu)
  expect([commits, followed]).toEqual([records, records * bytes])
  await log.close()

  const openStart = performance.now()
  const again = await open()
  const openMs = performance.now() - openStart
  const readStart = performance.now()
  let read = 0
  for (let shard = 0; shard < 8; shard++) for await (const r of again.read(shard, 1)) read += r.bytes.length
  const readMs = performance.now() - readStart
  expect(read).toBe(records * bytes)
  await again.close()
  const mb = (records * bytes) / 1e6
  if (large)
    console.log(
      `${bytes} B × ${records}: append ${((appendMs * 1e6) / records).toFixed(0)} ns/record wall, ${(((user + system) * 1000) / records).toFixed(0)} ns/record CPU, ` +
        `${((mb / appendMs) * 1000).toFixed(0)} MB/s; open ${mb.toFixed(0)} MB in ${openMs.toFixed(0)} ms; read ${((mb / readMs) * 1000).toFixed(0)} MB/s`,
    )
})
