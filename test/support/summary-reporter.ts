import type { Reporter, TestModule } from 'vitest/node'

/** Closes a run with what was skipped and why it was (the test's own words), and one plain line: `N passed, N failed, N skipped`. */
export default class SummaryReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly unknown[]): void {
    let passed = 0
    let failed = unhandled.length
    const skipped: string[] = []
    for (const module of modules) {
      for (const test of module.children.allTests()) {
        const { state } = test.result()
        if (state === 'passed') passed++
        else if (state === 'failed') failed++
        else {
          const result = test.result()
          const note = 'note' in result && typeof result.note === 'string' ? `: ${result.note}` : ''
          skipped.push(`skipped  ${module.relativeModuleId} > ${test.fullName}${note}`)
        }
      }
      if (module.errors().length > 0) failed++
    }
    for (const line of skipped) console.log(line)
    console.log(`${passed} passed, ${failed} failed, ${skipped.length} skipped`)
  }
}
