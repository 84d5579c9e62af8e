import { defineConfig } from 'vitest/config'

/** One run for everything: small benches and conformance included, so nothing rots. Two cores: two workers. */
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    setupFiles: ['./test/support/seed.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: 'forks',
    maxWorkers: 2,
    reporters: [process.env['CI'] ? 'default' : 'dot', './test/support/summary-reporter.ts'],
  },
})
