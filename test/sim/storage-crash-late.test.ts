// As storage-crash.test.ts, with samples that come out of order: even seeds take them.
import { crashPointsMin, livesAndCrashes } from '../support/storage-lives.ts'

const seeds = Array.from({ length: process.env['LONG'] === '1' ? 100 : 5 }, (_, i) => i * 2 + 2)

livesAndCrashes('keeps late samples that were acknowledged', seeds, {
  'crash points': crashPointsMin.late,
  deletions: 15,
  'log segments trimmed': 50,
  'blocks made': 100,
  'tombstones of blocks': 3,
  'blocks removed': 60,
  'vertical compactions': 20,
  'late samples': 45,
})
