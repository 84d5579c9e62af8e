// The tsdb tools beside promtool's, over the same files. PROMTOOL names the program; without it, the one in PATH. Skipped where there is none.
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { utf8Bytes } from '../../src/base/bytes.ts'
import { analyzeTsdb } from '../../src/cli/tool/tsdb-analyze.ts'
import { textOf } from '../../protocols/exposition/pieces.ts'
import { createBlocksFromOpenMetrics } from '../../src/cli/tool/tsdb-create-blocks.ts'
import { dumpTsdb } from '../../src/cli/tool/tsdb-dump.ts'
import { listBlocks } from '../../src/cli/tool/tsdb-list.ts'
import { nodeDisk } from '../../src/ports/node/disk.ts'
import { ulidFrom } from '../../src/tsdb/block/ulid.ts'

const promtool = process.env['PROMTOOL'] ?? 'promtool'
const decompress = { snappy: (bytes: Uint8Array) => bytes, zstd: (bytes: Uint8Array) => bytes }

function works(): boolean {
  try {
    execFileSync(promtool, ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

function theirs(...args: string[]): string[] {
  return execFileSync(promtool, args, { encoding: 'utf8', maxBuffer: 1 << 28 })
    .trimEnd()
    .split('\n')
}

function ours(run: (print: (line: string) => void) => void): string[] {
  const out: string[] = []
  run((line) => out.push(line))
  return out.join('\n').trimEnd().split('\n')
}

/** promtool orders what has equal counts at random. */
function sections(lines: readonly string[]): string[][] {
  const out: string[][] = [[]]
  for (const line of lines) {
    if (line === '') out.push([])
    else out.at(-1)!.push(line.replace(/^Total Series/, 'Series'))
  }
  return out.map((section) => [section[0] ?? '', ...section.slice(1).sort()])
}

describe.skipIf(!works())('tsdb tools and promtool (skipped where it is not installed)', () => {
  let directory = ''
  const disk = nodeDisk()
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'promhive-tools-'))
    mkdirSync(join(directory, 'wal'))
    const start = 1_699_999_200
    const lines = ['# TYPE m gauge']
    for (let i = 0; i < 1000; i++) lines.push(`m{a="${i % 7}",b="${i % 3}"} ${(i * 37) % 101} ${start + i * 15}.${i % 10}`)
    lines.push('# TYPE n counter', `n_total{b="ünï",c="a\\"b"} 1e6 ${start}`, '# EOF', '')
    const input = join(directory, 'in.om')
    writeFileSync(input, lines.join('\n'))
    let n = 0
    const options = { outputDirectory: directory, humanReadable: false, quiet: true, maxBlockMs: 0, labels: [] }
    const io = { disk, newUlid: () => ulidFrom(1_700_000_000_000 + n++, 'x'), print: () => {} }
    expect(createBlocksFromOpenMetrics(textOf(utf8Bytes(lines.join('\n'))), options, io).length).toBe(3)
    theirs('tsdb', 'create-blocks-from', 'openmetrics', input, join(directory, 'theirs'))
    mkdirSync(join(directory, 'theirs', 'wal'))
  })
  afterAll(() => rmSync(directory, { recursive: true, force: true }))

  it('list the same', () => {
    for (const humanReadable of [false, true]) {
      const flags = humanReadable ? ['-r'] : []
      expect(ours((print) => listBlocks(disk, directory, { humanReadable }, print))).toEqual(theirs('tsdb', 'list', ...flags, directory))
      const path = join(directory, 'theirs')
      expect(ours((print) => listBlocks(disk, path, { humanReadable }, print))).toEqual(theirs('tsdb', 'list', ...flags, path))
    }
  })

  it('dump the same, from blocks made here and there', async () => {
    const all = { minTimeMs: -Infinity, maxTimeMs: Infinity, match: [], format: 'prom' } as const
    const dump = async (path: string, over: object): Promise<string[]> => {
      const out: string[] = []
      await dumpTsdb(disk, path, { ...all, ...over }, decompress, (line) => out.push(line), expect.unreachable)
      return out.sort()
    }
    expect(await dump(directory, {})).toEqual(theirs('tsdb', 'dump', directory).sort())
    expect(await dump(directory, {})).toEqual(await dump(join(directory, 'theirs'), {}))
    const match = '{a=~"1|5",b!="2"}'
    expect(await dump(directory, { match: [match], minTimeMs: 1_700_005_000_000 })).toEqual(
      theirs('tsdb', 'dump', `--match=${match}`, '--min-time=1700005000000', directory).sort(),
    )
  })

  it('analyze the same', () => {
    // older versions have another extended analysis
    const modern = theirs('tsdb', '--help').join('\n').includes('dump-openmetrics')
    for (const extended of modern ? [false, true] : [false]) {
      const flags = extended ? ['--extended'] : []
      const got = ours((print) => analyzeTsdb(disk, directory, { blockId: '', limit: 1000, extended, match: '' }, print))
      expect(sections(got)).toEqual(sections(theirs('tsdb', 'analyze', '--limit=1000', ...flags, directory)))
    }
  })
})
