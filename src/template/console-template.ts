import type { ParsedTemplate, Template } from './expand.ts'
import { parseTemplate } from './expand.ts'
import type { TemplateEnv } from './functions.ts'
import { consoleFunctions } from './functions.ts'
import { escapeTemplate } from './html-template.ts'
import type { Methods } from './value.ts'
import { ListValue, MapValue, StructValue } from './value.ts'

/** Console pages: HTML templates with libraries of shared definitions. Source: prometheus web/web.go, template.go ExpandHTML. */

const definitions = '{{$rawParams := .RawParams }}{{$params := .Params}}{{$path := .Path}}{{$externalLabels := .ExternalLabels}}'

/** A library file: its definitions can be called by name. */
export type ConsoleLibrary = Readonly<{ name: string; text: string }>

/**
 * Parses a page and its libraries and escapes them for HTML.
 * @returns the template, or the first problem with its message: of Go's `template: …` where it does not parse, `html/template:…` where it is no safe HTML.
 */
export function parseConsole(name: string, text: string, libraries: readonly ConsoleLibrary[]): ParsedTemplate<TemplateEnv> {
  return parseHtml(name, definitions + text, libraries)
}

/** The same without the variables of a console. */
export function parseHtml(name: string, text: string, libraries: readonly ConsoleLibrary[]): ParsedTemplate<TemplateEnv> {
  const page = parseTemplate<TemplateEnv>(name, text, consoleFunctions)
  if (page.kind === 'failed') return page
  let template: Template<TemplateEnv> = page.template
  for (const library of libraries) {
    const parsed = parseTemplate(library.name, library.text, consoleFunctions, template)
    if (parsed.kind === 'failed') return parsed
    template = { ...parsed.template, name }
  }
  const escaped = escapeTemplate(template)
  if (escaped.kind === 'ok') return escaped
  return { kind: 'failed', problems: [{ message: escaped.message, offset: 0, line: 1, column: 1 }], message: escaped.message }
}

/** Go's url.Values. */
const valuesMethods: Methods<MapValue> = {
  Get: { params: ['string'], call: (values, [name]) => (values.entries.get(name as string) as ListValue | undefined)?.items[0] ?? '' },
  Has: { params: ['string'], call: (values, [name]) => values.entries.has(name as string) },
}

/** What a console sees. `.RawParams` holds all values of every URL parameter, `.Params` the first; `path` has no leading slash. */
export function consoleData(rawParams: ReadonlyMap<string, readonly string[]>, path: string, externalLabels: MapValue): StructValue {
  const first = new Map(Array.from(rawParams, ([name, values]) => [name, values[0] ?? '']))
  const all = new Map(Array.from(rawParams, ([name, values]) => [name, new ListValue(values, '[]string')]))
  return new StructValue(
    new Map<string, unknown>([
      ['RawParams', new MapValue(all, 'url.Values', new ListValue([], '[]string'), valuesMethods)],
      ['Params', new MapValue(first)],
      ['Path', path],
      ['ExternalLabels', externalLabels],
    ]),
    'struct { RawParams url.Values; Params map[string]string; Path string; ExternalLabels map[string]string }',
  )
}
