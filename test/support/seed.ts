// Property tests draw the same cases in every run, so that a failure is the change's and not the day's. SEED=… draws others.
import fc from 'fast-check'

fc.configureGlobal({ seed: Number(process.env['SEED'] ?? 20_261_123) })
