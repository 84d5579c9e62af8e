import { expect, it } from 'vitest'
import { releasePages, SharedPages, sharedPageBytes } from '../../../src/base/shared-pages.ts'

const isShared = (page: Uint8Array): boolean => page.buffer instanceof SharedArrayBuffer

it('pages are used again when they are given back, through any view of them', () => {
  const pages = new SharedPages(3)
  const taken = [pages.take(), pages.take(), pages.take()]
  expect(new Set(taken.map(({ buffer }) => buffer)).size).toBe(3)
  expect(taken.every((page) => isShared(page) && page.length === sharedPageBytes)).toBe(true)
  const beyond = pages.take()
  expect([isShared(beyond), beyond.length]).toEqual([false, sharedPageBytes])
  releasePages([taken[1]!.subarray(5, 9), beyond, new Uint8Array(3)])
  expect(pages.take().buffer).toBe(taken[1]!.buffer)
  expect(isShared(pages.take())).toBe(false)
})

it('a page given back on the other side of a clone is free', () => {
  const pages = new SharedPages(1)
  const page = pages.take()
  page[0] = 7
  const crossed = structuredClone(page)
  expect(crossed[0]).toBe(7)
  expect(isShared(pages.take())).toBe(false)
  releasePages([crossed])
  expect(pages.take().buffer).toBe(page.buffer)
})

it('trimming keeps as many pages as were in use at one time since the last trimming', () => {
  const pages = new SharedPages(10)
  const taken = Array.from({ length: 6 }, () => pages.take())
  releasePages(taken.slice(2))
  pages.trim()
  expect(pages.count).toBe(6)
  releasePages([pages.take()])
  pages.trim()
  expect(pages.count).toBe(3)
  releasePages(taken)
  pages.trim()
  expect(pages.count).toBe(2)
  pages.trim()
  expect(pages.count).toBe(0)
})
