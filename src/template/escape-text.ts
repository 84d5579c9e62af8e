import { sprint } from './print.ts'
import { stringOf } from './value.ts'

/** The escapers every Go template has: html, js and urlquery. Source: text/template/funcs.go, net/url QueryEscape. */

const htmlForms: Readonly<Record<string, string>> = { '\0': '\ufffd', '"': '&#34;', "'": '&#39;', '&': '&amp;', '<': '&lt;', '>': '&gt;' }

export function escapeHtml(text: string): string {
  return text.replace(/[\0"'&<>]/g, (char) => htmlForms[char]!)
}

const jsForms: Readonly<Record<string, string>> = {
  '\\': '\\\\',
  "'": "\\'",
  '"': '\\"',
  '<': '\\u003C',
  '>': '\\u003E',
  '&': '\\u0026',
  '=': '\\u003D',
}
const goPrintable = /[\p{L}\p{M}\p{N}\p{P}\p{S} ]/u

export function escapeJs(text: string): string {
  return text.replace(/[\\'"<>&=\x00-\x1f]|[^\x00-\x7f]/gu, (char) => {
    const known = jsForms[char]
    if (known !== undefined) return known
    const code = char.codePointAt(0)!
    if (code >= 0x80 && goPrintable.test(char)) return char
    return `\\u${code.toString(16).toUpperCase().padStart(4, '0')}`
  })
}

/** Everything but letters, digits and `-_.~` as %XX, a space as `+`. */
export function escapeQuery(text: string): string {
  return encodeURIComponent(text.toWellFormed())
    .replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll('%20', '+')
}

/** Arguments as the escapers read them: one text, as fmt.Sprint gives it. `<no value>` is what a missing value prints. */
export function textOfArguments(args: readonly unknown[]): string {
  const only = args.length === 1 ? stringOf(args[0]) : null
  return only ?? sprint(args.map((arg) => (arg === null || arg === undefined ? '<no value>' : arg)))
}
