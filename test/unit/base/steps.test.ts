import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { finishSteps, sortSteps, stepsWhile, type Steps } from '../../../src/base/steps.ts'

describe('sorting in steps', () => {
  it('gives what sort gives, ties in their order, and pauses', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(50), { maxLength: 300 }), fc.integer({ min: 1, max: 40 }), (given, times) => {
        const list = Array.from({ length: times }, () => given).flatMap((part, n) => part.map((key, i) => ({ key, at: n * 1000 + i })))
        const expected = [...list].sort((a, b) => a.key - b.key)
        const steps = sortSteps(list, (a, b) => a.key - b.key)
        let pauses = 0
        while (steps.next().done !== true) pauses++
        expect(list).toEqual(expected)
        expect(pauses).toBeGreaterThanOrEqual(Math.floor(list.length / 1024))
      }),
      { numRuns: 50 },
    )
  })
})

describe('steps under a condition', () => {
  function* three(log: string[]): Steps<string> {
    try {
      for (const n of [1, 2, 3]) {
        log.push(`step ${n}`)
        try {
          log.push(`waited ${(yield async () => {}) === true}`)
        } catch (thrown) {
          log.push(String(thrown))
          throw thrown
        }
      }
      return 'done'
    } finally {
      log.push('tidied')
    }
  }
  it('end with the value, and pass on whether a pause was waited for', () => {
    const log: string[] = []
    expect(finishSteps(stepsWhile(three(log), () => true))).toEqual({ value: 'done' })
    expect(log).toEqual(['step 1', 'waited false', 'step 2', 'waited false', 'step 3', 'waited false', 'tidied'])
    const steps = stepsWhile(three(log), () => true)
    steps.next()
    steps.next(true)
    expect(log.at(-2)).toBe('waited true')
  })
  it('are given up and tidied where the condition fails, where they are left and where a pause fails', () => {
    for (const end of ['condition', 'left', 'failed'] as const) {
      const log: string[] = []
      const steps = stepsWhile(three(log), () => end !== 'condition')
      steps.next()
      if (end === 'condition') expect(steps.next()).toEqual({ done: true, value: null })
      else if (end === 'left') steps.return(null)
      else expect(() => steps.throw('no space')).toThrow('no space')
      expect(log.at(-1)).toBe('tidied')
      expect(log.includes('no space')).toBe(end === 'failed')
    }
  })
})
