import { expect, it } from 'vitest'
import { DumpMap, FlowList, printYaml } from '../../../src/config/dump.ts'
import { printGoDuration, printSize, readGoDuration, readSize } from '../../../src/config/quantity.ts'
import { parseGoUrl, redactUrl } from '../../../src/config/url.ts'

// What go-yaml v2 writes for the same strings
it.each([
  ['plain', 'plain'],
  ['', '""'],
  ['true', '"true"'],
  ['yes', '"yes"'],
  ['5', '"5"'],
  ['1e3', '"1e3"'],
  ['0x1F', '"0x1F"'],
  ['12:30', '"12:30"'],
  ['2001-01-01', '"2001-01-01"'],
  ['null', '"null"'],
  ['1h', '1h'],
  [';', ';'],
  [',', "','"],
  ['a: b', "'a: b'"],
  ['a:b', 'a:b'],
  ['- x', "'- x'"],
  ['-x', '-x'],
  ['# x', "'# x'"],
  ['x #y', "'x #y'"],
  ["it's", "it's"],
  ["'x", "'''x'"],
  [' x', "' x'"],
  ['(.*)', '(.*)'],
  ['{a}', "'{a}'"],
  ['$1', '$1'],
  ['tab\there', '"tab\\there"'],
  ['a\nb', '|-\n  a\n  b'],
  ['a\n', '|\n  a'],
])('%j', (value, text) => {
  expect(printYaml(new DumpMap([['k', value]]))).toBe(`k: ${text}\n`)
})

it('lays out maps and lists', () => {
  const dump = new DumpMap([
    [
      'a',
      [
        new DumpMap([
          ['b', 1],
          ['c', [true, null]],
        ]),
        'x',
      ],
    ],
    ['d', new DumpMap([])],
    ['e', []],
    ['f', new FlowList(['x', 'y z'])],
    ['g', new DumpMap([['h', [['i']]]])],
  ])
  expect(printYaml(dump)).toBe('a:\n- b: 1\n  c:\n  - true\n  - null\n- x\nd: {}\ne: []\nf: [x, y z]\ng:\n  h:\n  - - i\n')
})

it('breaks long lines at spaces', () => {
  const text = Array(20).fill('wordword').join(' ')
  const lines = printYaml(new DumpMap([['key', text]])).split('\n')
  expect(lines.slice(1, -1).every((line) => line.startsWith('  word'))).toBe(true)
  expect(lines.join(' ').replace(/ +/g, ' ')).toBe(`key: ${text} `)
})

it.each([
  ['10MB', 10 * 1024 ** 2, '10MiB'],
  ['1GiB512MiB', 1.5 * 1024 ** 3, '1GiB512MiB'],
  ['1.5KB', 1536, '1KiB512B'],
  ['0', 0, '0B'],
  ['7B', 7, '7B'],
])('size %s', (text, bytes, printed) => {
  expect(readSize(text)).toBe(bytes)
  expect(printSize(bytes)).toBe(printed)
})
it.each([
  ['5', 'units: unknown unit  in 5'],
  ['5XB', 'units: unknown unit XB in 5XB'],
  ['5kB', 'units: unknown unit kB in 5kB'],
  ['MB', 'units: invalid MB'],
  ['', 'units: invalid '],
])('no size: %j', (text, problem) => {
  expect(readSize(text)).toEqual({ problem })
})

it.each([
  ['1.5h', 5_400_000, '1h30m0s'],
  ['2ms', 2, '2ms'],
  ['90s', 90_000, '1m30s'],
  ['-1m', -60_000, '-1m0s'],
  ['0', 0, '0s'],
])('Go duration %s', (text, ms, printed) => {
  expect(readGoDuration(text)).toBe(ms)
  expect(printGoDuration(ms)).toBe(printed)
})

it.each([
  ['http://a:9090/x?y#z', null],
  ['relative/path', null],
  ['unix:///var/run/x.sock', null],
  ['mailto:x', null],
  ['a:b/c', null],
  ['://x', 'parse "://x": missing protocol scheme'],
  ['http://a b', 'parse "http://a b": invalid character " " in host name'],
  ['http://a:b', 'parse "http://a:b": invalid port ":b" after host'],
  ['http://a/%zz', 'parse "http://a/%zz": invalid URL escape "%zz"'],
  ['1a:b', 'parse "1a:b": first path segment in URL cannot contain colon'],
  ['http://[::1', 'parse "http://[::1": missing \']\' in host'],
])('URL %s', (text, problem) => {
  expect(parseGoUrl(text).problem).toBe(problem)
})

it('hides passwords in URLs', () => {
  expect(redactUrl('https://u:p:q@h/x:y@z')).toBe('https://u:xxxxx@h/x:y@z')
  expect(redactUrl('https://u@h')).toBe('https://u@h')
})
