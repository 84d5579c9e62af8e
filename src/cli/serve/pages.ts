// Console templates and files of --web.user-assets from the disk. Paths come from the edge without dot segments; they are held inside their
// directory once more here, symbolic links followed.
import { globSync, readFileSync, realpathSync, statSync } from 'node:fs'
import { extname, join, sep } from 'node:path'
import { messageOf, PromhiveError } from '../../base/errors.ts'
import { limits } from '../../base/limits.ts'
import type { AssetsBackend, ConsolesBackend } from '../../api/backend.ts'
import type { Labels } from '../../model/labels.ts'
import type { QueryFunction } from '../../rules/querying.ts'
import { labelsMap, templateSamples } from '../../template/alert-template.ts'
import { consoleData, parseConsole } from '../../template/console-template.ts'
import { expand } from '../../template/expand.ts'

const contentTypes: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.jpg': 'image/jpeg',
  '.ico': 'image/x-icon',
  '.txt': 'text/plain; charset=utf-8',
}

/** The bytes of a file below a directory; null where there is none. Throws TOO_LARGE. */
function readBelow(directory: string, path: string): Uint8Array | null {
  try {
    const root = realpathSync(directory)
    const file = realpathSync(join(root, path))
    if (!file.startsWith(root + sep)) return null
    const { size } = statSync(file)
    if (!statSync(file).isFile()) return null
    if (size > limits.configBytesMax)
      throw new PromhiveError('TOO_LARGE', `cannot serve ${path}: ${size} bytes, limit ${limits.configBytesMax}`)
    return readFileSync(file)
  } catch (thrown) {
    if (thrown instanceof PromhiveError) throw thrown
    return null
  }
}

/** Null where no directory was given. */
export function userAssets(directory: string): AssetsBackend | null {
  if (directory === '') return null
  return {
    find: async (path) => {
      const bytes = readBelow(directory, path)
      return bytes === null ? null : { bytes, contentType: contentTypes[extname(path)] ?? 'application/octet-stream' }
    },
  }
}

export type ConsoleParts = Readonly<{
  templates: string
  libraries: string
  externalUrl: string
  externalLabels: () => Labels
  query: QueryFunction
  nowMs: () => number
  monotonicMs: () => number
}>

export function consoles(parts: ConsoleParts): ConsolesBackend {
  return {
    indexPath: readBelow(parts.templates, 'index.html') === null ? '' : '/consoles/index.html',
    async expand(path, parameters, { clientIp: clientIP, method, path: requestPath }, signal) {
      const bytes = readBelow(parts.templates, path)
      if (bytes === null) return null
      const text = new TextDecoder().decode(bytes)
      const libraries = globSync(`${parts.libraries}/*.lib`)
        .sort()
        .map((file) => ({ name: file, text: readFileSync(file, 'utf8') }))
      const parsed = parseConsole(`__console_${path}`, text, libraries)
      if (parsed.kind === 'failed') throw new PromhiveError('INTERNAL', parsed.message)
      const nowMs = parts.nowMs()
      const url = new URL(parts.externalUrl)
      const expansion = await expand(parsed.template, {
        env: { nowMs, externalUrl: parts.externalUrl, pathPrefix: url.pathname === '/' ? '' : url.pathname },
        data: consoleData(new Map(Object.entries(parameters)), path, labelsMap(parts.externalLabels())),
        monotonicMs: parts.monotonicMs,
        answer: async (expr) => {
          const { labels, values, histograms } = await parts.query(expr, nowMs, signal, {
            httpRequest: { clientIP, method, path: requestPath },
          })
          return templateSamples(labels, values, histograms)
        },
      })
      if (expansion.kind === 'failed') throw new PromhiveError('INTERNAL', messageOf(expansion.message))
      return expansion.text
    },
  }
}
