// The contract of the Bus port, run by every adapter and between threads.
import { describe, expect, it } from 'vitest'
import type { Bus } from '../../cluster/ports.ts'
import { PromhiveError } from '../../src/base/errors.ts'

export interface BusWorld {
  /** Two members of one bus; the same one twice where it has only one. */
  a: Bus
  b: Bus
  /** Lets what is under way arrive; subscriptions made before are known everywhere afterwards. */
  settle(): Promise<void>
  /** Lets time pass, where it is virtual, until the promise settles. */
  run<T>(promise: Promise<T>): Promise<T>
  close(): Promise<void>
}

export function busConformance(name: string, open: () => Promise<BusWorld>): void {
  const test = (what: string, body: (world: BusWorld) => Promise<void>): void =>
    it(what, async () => {
      const world = await open()
      try {
        await body(world)
      } finally {
        await world.close()
      }
    })

  describe(`bus: ${name}`, () => {
    test('delivers later, in order, to everyone who listens', async ({ a, b, settle }) => {
      const seen: unknown[] = []
      a.subscribe('x.y', ({ body }) => seen.push(['a', body]))
      b.subscribe('x.y', ({ body }) => seen.push(['b', body]))
      b.subscribe('x.z', () => seen.push('wrong'))
      await settle()
      for (let i = 0; i < 3; i++) a.publish('x.y', { body: i })
      expect(seen).toEqual([])
      await settle()
      expect(seen.filter((s) => (s as unknown[])[0] === 'a')).toEqual([0, 1, 2].map((i) => ['a', i]))
      expect(seen.filter((s) => (s as unknown[])[0] === 'b')).toEqual([0, 1, 2].map((i) => ['b', i]))
      expect(seen.length).toBe(6)
    })

    it.each([
      ['a.b', ['a.b']],
      ['a.*', ['a.b', 'a.c']],
      ['*.b', ['a.b', 'c.b']],
      ['a.>', ['a.b', 'a.b.c', 'a.c']],
      ['>', ['a', 'a.b', 'a.b.c', 'a.c', 'c.b']],
      ['a.*.c', ['a.b.c']],
    ])('pattern %s', async (pattern, expected) => {
      const world = await open()
      const seen: unknown[] = []
      world.b.subscribe(pattern, ({ body }) => seen.push(body))
      await world.settle()
      for (const subject of ['a', 'a.b', 'a.b.c', 'a.c', 'c.b']) world.a.publish(subject, { body: subject })
      await world.settle()
      expect(seen).toEqual(expected)
      await world.close()
    })

    test('gives each message to one member of a queue, and stops on cancel', async ({ a, b, settle }) => {
      const counts = [0, 0, 0]
      const cancels = [
        a.subscribe('work', () => void counts[0]!++, 'group'),
        b.subscribe('work', () => void counts[1]!++, 'group'),
        b.subscribe('work', () => void counts[2]!++),
      ]
      await settle()
      for (let i = 0; i < 100; i++) a.publish('work', { body: i })
      await settle()
      expect(counts[0]! + counts[1]!).toBe(100)
      expect(Math.min(counts[0]!, counts[1]!)).toBeGreaterThan(10)
      expect(counts[2]).toBe(100)
      for (const cancel of cancels) cancel()
      await settle()
      a.publish('work', { body: 0 })
      await settle()
      expect(counts[0]! + counts[1]! + counts[2]!).toBe(200)
    })

    test('asks and answers, both ways', async ({ a, b, settle, run }) => {
      a.subscribe('double', ({ body }, reply) => reply.send({ body: (body as number) * 2 }))
      b.subscribe('triple', ({ body }, reply) => reply.send({ body: (body as number) * 3 }))
      await settle()
      expect((await run(b.request('double', { body: 21 }, 1000))).body).toBe(42)
      expect((await run(a.request('triple', { body: 5 }, 1000))).body).toBe(15)
      expect((await run(b.request('triple', { body: 6 }, 1000))).body).toBe(18)
    })

    test('says UNAVAILABLE where nobody listens, and QUERY_TIMEOUT where nobody answers', async ({ a, b, settle, run }) => {
      let wanted: (() => boolean) | null = null
      b.subscribe('silent', (_, reply) => (wanted = () => reply.wanted))
      await settle()
      await expect(run(a.request('nobody', { body: 0 }, 1000))).rejects.toMatchObject({ code: 'UNAVAILABLE' })
      await expect(run(a.request('silent', { body: 0 }, 50))).rejects.toMatchObject({ code: 'QUERY_TIMEOUT' })
      await settle()
      expect(wanted!()).toBe(false)
    })

    test('throws at the asker what the responder failed with', async ({ a, b, settle, run }) => {
      b.subscribe('fails', (_, reply) => reply.fail(new PromhiveError('QUERY_LIMIT', 'too many', { limit: 5 })))
      b.subscribe('throws', () => {
        throw new Error('BUG: oops')
      })
      b.subscribe('ends', (_, reply) => reply.end())
      await settle()
      await expect(run(a.request('fails', { body: 0 }, 1000))).rejects.toMatchObject({
        code: 'QUERY_LIMIT',
        message: 'too many',
        detail: { limit: 5 },
      })
      await expect(run(a.request('throws', { body: 0 }, 1000))).rejects.toThrow(/BUG: oops/)
      await expect(run(a.request('ends', { body: 0 }, 1000))).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    })

    test('hears the first of several responders', async ({ a, b, settle, run }) => {
      const wanted: boolean[] = []
      b.subscribe('who', (_, reply) => reply.send({ body: 'first' }))
      b.subscribe('who', (_, reply) => {
        wanted.push(reply.wanted)
        reply.send({ body: 'second' })
      })
      await settle()
      expect(['first', 'second']).toContain((await run(a.request('who', { body: 0 }, 1000))).body)
    })

    test('streams until the responder ends', async ({ a, b, settle, run }) => {
      b.subscribe('count', ({ body }, reply) => {
        for (let i = 0; i < (body as number); i++) reply.send({ body: i })
        reply.end()
      })
      await settle()
      const seen: unknown[] = []
      await run(
        (async () => {
          for await (const { body } of a.stream('count', { body: 100 }, 1000)) seen.push(body)
        })(),
      )
      expect(seen).toEqual(Array.from({ length: 100 }, (_, i) => i))
    })

    test('fails a stream after the answers before', async ({ a, b, settle, run }) => {
      b.subscribe('broken', (_, reply) => {
        reply.send({ body: 1 })
        reply.fail(new PromhiveError('STORAGE_CORRUPT', 'bad block'))
      })
      await settle()
      const seen: unknown[] = []
      const reading = async (): Promise<void> => {
        for await (const { body } of a.stream('broken', { body: 0 }, 1000)) seen.push(body)
      }
      await expect(run(reading())).rejects.toMatchObject({ code: 'STORAGE_CORRUPT' })
      expect(seen).toEqual([1])
    })

    test('stops the responder when the reader leaves, and holds it back while the reader is slow', async ({ a, b, settle, run }) => {
      let sent = 0
      let stopped = false
      b.subscribe('endless', (_, reply) => {
        void (async () => {
          while (reply.wanted) {
            reply.send({ body: sent++ })
            await reply.room()
          }
          stopped = true
        })()
      })
      await settle()
      const reader = a.stream('endless', { body: 0 }, 60_000)[Symbol.asyncIterator]()
      expect((await run(reader.next())).value).toEqual({ body: 0 })
      for (let i = 0; i < 5; i++) await settle()
      expect(sent).toBeGreaterThan(1)
      expect(sent).toBeLessThan(200)
      const before = sent
      for (let i = 0; i < before + 50; i++) await run(reader.next())
      expect(sent).toBeGreaterThan(before)
      await run(reader.return!())
      for (let i = 0; i < 5; i++) await settle()
      expect(stopped).toBe(true)
    })

    test('carries typed arrays and gives buffers away', async ({ a, b, settle, run }) => {
      b.subscribe('sum', ({ body }, reply) => {
        const values = (body as { values: Float64Array<ArrayBuffer> }).values
        const doubled = values.map((v) => v * 2)
        reply.send({ body: { doubled }, transfer: [doubled.buffer] })
      })
      await settle()
      const values = Float64Array.of(1, 2, NaN)
      const { body } = await run(a.request('sum', { body: { values }, transfer: [values.buffer] }, 1000))
      expect((body as { doubled: Float64Array }).doubled).toEqual(Float64Array.of(2, 4, NaN))
    })

    it.each(['', 'a..b', 'a.*', '>', '.a'])('refuses to send to subject "%s"', async (subject) => {
      const world = await open()
      expect(() => world.a.publish(subject, { body: 0 })).toThrow(/BUG: cannot send/)
      await world.close()
    })

    test('carries thousands of messages in order', async ({ a, b, settle }) => {
      const seen: unknown[] = []
      b.subscribe('flood', ({ body }) => seen.push(body))
      await settle()
      for (let i = 0; i < 5000; i++) a.publish('flood', { body: i })
      for (let i = 0; i < 200 && seen.length < 5000; i++) await settle()
      expect(seen).toEqual(Array.from({ length: 5000 }, (_, i) => i))
    })
  })
}
