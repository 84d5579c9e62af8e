// Who listens to a subject: patterns of dot-separated words, where `*` stands for one word and a final `>` for one or more.
import { assert } from '../../src/base/assert.ts'

export type Listener<H> = {
  readonly pattern: string
  readonly words: readonly string[]
  readonly queue: string | null
  readonly handler: H
  active: boolean
}

/** Those that get a message: everyone of `plain`, and of each queue group one. */
export type Audience<H> = { readonly plain: readonly Listener<H>[]; readonly queues: readonly QueueGroup<H>[] }
export type QueueGroup<H> = { readonly members: readonly Listener<H>[]; turn: number }

/** Look-ups remembered; forgotten at every change. */
const rememberedMax = 4096

export class Subjects<H> {
  readonly #listeners = new Set<Listener<H>>()
  readonly #remembered = new Map<string, Audience<H>>()
  /** Turns of queue groups outlive the memory of look-ups, so that changes do not favour the first member. */
  #turns = 0

  add(pattern: string, handler: H, queue: string | null): Listener<H> {
    const words = pattern.split('.')
    assert(
      words.every((word, i) => word !== '' && (word !== '>' || i === words.length - 1)),
      `bad subject "${pattern}"`,
    )
    const listener: Listener<H> = { pattern, words, queue, handler, active: true }
    this.#listeners.add(listener)
    this.#remembered.clear()
    return listener
  }

  remove(listener: Listener<H>): void {
    if (!listener.active) return
    listener.active = false
    this.#listeners.delete(listener)
    this.#remembered.clear()
  }

  audience(subject: string): Audience<H> {
    const known = this.#remembered.get(subject)
    if (known !== undefined) return known
    const words = checkSubject(subject)
    const plain: Listener<H>[] = []
    const groups = new Map<string, Listener<H>[]>()
    for (const listener of this.#listeners) {
      if (!matches(listener.words, words)) continue
      if (listener.queue === null) plain.push(listener)
      else {
        const members = groups.get(listener.queue)
        if (members === undefined) groups.set(listener.queue, [listener])
        else members.push(listener)
      }
    }
    const audience = { plain, queues: Array.from(groups.values(), (members) => ({ members, turn: this.#turns++ })) }
    if (this.#remembered.size >= rememberedMax) this.#remembered.clear()
    this.#remembered.set(subject, audience)
    return audience
  }
}

/** The words of a subject that can be sent to: none is empty or a wildcard. */
export function checkSubject(subject: string): string[] {
  const words = subject.split('.')
  assert(
    words.every((word) => word !== '' && word !== '*' && word !== '>'),
    `cannot send to subject "${subject}"`,
  )
  return words
}

/** @param words of a subject without wildcards. */
export function matches(pattern: readonly string[], words: readonly string[]): boolean {
  for (let i = 0; i < pattern.length; i++) {
    if (pattern[i] === '>') return words.length > i
    if (i >= words.length || (pattern[i] !== '*' && pattern[i] !== words[i])) return false
  }
  return pattern.length === words.length
}
