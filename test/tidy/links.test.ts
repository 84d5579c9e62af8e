// Links between the pages of the documentation lead somewhere, headings included, and so do the paths of the code that they name.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { expect, it } from 'vitest'
import { root } from './source.ts'

const pages = [...readdirSync(root), ...readdirSync(join(root, 'docs')).map((name) => `docs/${name}`)].filter((name) =>
  name.endsWith('.md'),
)

/** Headings as GitHub makes anchors of them. */
function anchors(path: string): string[] {
  return Array.from(readFileSync(path, 'utf8').matchAll(/^#+ (.*)$/gm), ([, heading]) =>
    heading!
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  )
}

it('links lead somewhere', () => {
  expect(pages.length).toBeGreaterThan(4)
  const broken: string[] = []
  for (const page of pages) {
    const from = join(root, page)
    for (const [, target] of readFileSync(from, 'utf8').matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target!)) continue
      const [path, anchor] = target!.split('#')
      const to = path === '' ? from : join(dirname(from), path!)
      if (!existsSync(to)) broken.push(`${page}: ${target}`)
      else if (anchor !== undefined && !anchors(to).includes(anchor)) broken.push(`${page}: no heading ${relative(root, to)}#${anchor}`)
    }
  }
  expect(broken).toEqual([])
})

it('paths of the code in ARCHITECTURE.md exist', () => {
  const text = readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8')
  const named = Array.from(text.matchAll(/`((?:src|actors|cluster|protocols|test|docs|examples)\/[\w./-]*)`/g), ([, path]) => path!)
  expect(named.length).toBeGreaterThan(30)
  expect(named.filter((path) => !existsSync(join(root, path)))).toEqual([])
})

it('every dependency has its line in ARCHITECTURE.md', () => {
  const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { dependencies: Record<string, string> }
  const section = readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8').split('## Dependencies')[1]!.split('\n## ')[0]!
  const rows = Array.from(section.matchAll(/^\| `([^`]+)` \|/gm), ([, name]) => name!)
  expect(rows.sort()).toEqual(Object.keys(dependencies).sort())
})
