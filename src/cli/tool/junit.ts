// Test results as JUnit XML, for `promhive tool test --junit`. Source: prometheus util/junitxml.

export type JunitCase = { readonly name: string; readonly failures: string[]; error: string }
export type JunitSuite = {
  readonly name: string
  tests: number
  failures: number
  errors: number
  /** `2006-01-02T15:04:05`. */
  timestamp: string
  readonly cases: JunitCase[]
}

export function junitSuite(name: string): JunitSuite {
  return { name, tests: 0, failures: 0, errors: 0, timestamp: '', cases: [] }
}

/** Adds a case; `counted` ones count as tests. */
export function junitCase(suite: JunitSuite, name: string, counted: boolean): JunitCase {
  const made: JunitCase = { name, failures: [], error: '' }
  suite.cases.push(made)
  if (counted) suite.tests++
  return made
}

export function printJunit(suites: readonly JunitSuite[]): string {
  return `<testsuites>${suites.map(printSuite).join('')}</testsuites>`
}

function printSuite(suite: JunitSuite): string {
  const head = `name="${escape(suite.name)}" tests="${suite.tests}" failures="${suite.failures}" errors="${suite.errors}" skipped="0" timestamp="${escape(suite.timestamp)}"`
  return `<testsuite ${head}>${suite.cases.map(printCase).join('')}</testsuite>`
}

function printCase({ name, failures, error }: JunitCase): string {
  const inside =
    failures.map((failure) => `<failure>${escape(failure)}</failure>`).join('') + (error === '' ? '' : `<error>${escape(error)}</error>`)
  return `<testcase name="${escape(name)}">${inside}</testcase>`
}

const forms: Readonly<Record<string, string>> = { '"': '&#34;', "'": '&#39;', '&': '&amp;', '<': '&lt;', '>': '&gt;', '\t': '&#x9;', '\n': '&#xA;', '\r': '&#xD;' } // prettier-ignore

function escape(text: string): string {
  return text.toWellFormed().replace(/["'&<>\t\n\r]|[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/g, (char) => forms[char] ?? '\ufffd')
}
