import fc from 'fast-check'
import { expect, it } from 'vitest'
import { orderOf } from '../../../src/model/label-order.ts'
import { compareLabels, labelsFrom } from '../../../src/model/labels.ts'

it('is the order of comparing label sets, equal ones as given', () => {
  const word = fc.constantFrom('', 'a', 'b', 'aa', 'ab', '10', '2', 'é', '\uffff', '\u{1f600}')
  const labels = fc.array(fc.tuple(fc.constantFrom('__name__', 'A', 'i', 'job', 'z'), word), { maxLength: 5 }).map(labelsFrom)
  fc.assert(
    fc.property(fc.array(labels, { maxLength: 200, size: 'max' }), (sets) => {
      const expected = sets.map((_, i) => i).sort((a, b) => compareLabels(sets[a]!, sets[b]!))
      expect([...orderOf(sets)]).toEqual(expected)
    }),
  )
})
