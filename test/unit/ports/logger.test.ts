import { expect, it } from 'vitest'
import type { Logger } from '../../../src/base/logger.ts'
import { nodeLogger, type LogFormat, type LogLevel } from '../../../src/ports/node/logger.ts'

/** One line, without its time. */
function line(format: LogFormat, level: LogLevel, write: (logger: Logger) => void): Promise<string> {
  let text = ''
  write(nodeLogger({ format, level, destination: { write: (lines) => (text += lines) } }))
  return new Promise((resolve) =>
    setImmediate(() =>
      resolve(text.replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?(Z|[+-]\d\d:\d\d)/g, 'T').replace(/logger\.test\.ts:\d+/g, 'SOURCE')),
    ),
  )
}

it.each([
  [
    'plain',
    (l: Logger) => l.info({ component: 'web', n: 1.5, ok: true }, 'ready'),
    'time=T level=INFO source=SOURCE msg=ready component=web n=1.5 ok=true\n',
  ],
  [
    'quoted',
    (l: Logger) => l.warn({ a: 'x y', b: '', c: 'k=v', d: 'q"q' }, 'two words'),
    'time=T level=WARN source=SOURCE msg="two words" a="x y" b="" c="k=v" d="q\\"q"\n',
  ],
  [
    'controls',
    (l: Logger) => l.error({ a: 'l1\nl2\t\u0001', b: '\u2028é😀' }, 'm'),
    'time=T level=ERROR source=SOURCE msg=m a="l1\\nl2\\t\\x01" b="\\u2028é😀"\n',
  ],
  [
    'errors and lists',
    (l: Logger) => l.info({ err: new Error('no such host'), list: ['a', 'b'] }, 'm'),
    'time=T level=INFO source=SOURCE msg=m err="no such host" list="[a b]"\n',
  ],
  [
    'reserved and missing',
    (l: Logger) => l.info({ time: 1, level: 2, source: 3, gone: undefined }, 'm'),
    'time=T level=INFO source=SOURCE msg=m logged_time=1 logged_level=2 logged_source=3\n',
  ],
  ['children', (l: Logger) => l.child({ a: 1 }).child({ b: 2 }).info({ c: 3 }, 'm'), 'time=T level=INFO source=SOURCE msg=m a=1 b=2 c=3\n'],
])('logfmt: %s', async (_, write, expected) => {
  expect(await line('logfmt', 'debug', write)).toBe(expected)
})

it('json', async () => {
  const text = await line('json', 'info', (l) =>
    l.info({ component: 'web', n: 1, big: 12n, err: new Error('x'), o: { a: [1] } }, 'say "hi"'),
  )
  expect(text).toBe(
    '{"time":"T","level":"INFO","source":"SOURCE","msg":"say \\"hi\\"","component":"web","n":1,"big":12,"err":"x","o":{"a":[1]}}\n',
  )
})

it.each([
  ['debug', 4],
  ['info', 3],
  ['warn', 2],
  ['error', 1],
] as const)('level %s lets %i through', async (level, count) => {
  const text = await line('logfmt', level, (l) => {
    l.debug({}, 'm')
    l.info({}, 'm')
    l.warn({}, 'm')
    l.error({}, 'm')
  })
  expect(text.split('\n').length - 1).toBe(count)
})

it('writes the lines of one turn together, errors at once', () => {
  const writes: string[] = []
  const logger = nodeLogger({ format: 'logfmt', level: 'info', destination: { write: (lines) => writes.push(lines) } })
  logger.info({}, 'one')
  logger.info({}, 'two')
  expect(writes.length).toBe(0)
  logger.error({}, 'three')
  expect(writes.length).toBe(1)
  expect(writes[0]!.split('\n').length).toBe(4)
})
