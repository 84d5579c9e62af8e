/** Path of a URL without a trailing slash: '' for the root. */
export function pathOf(url: string): string {
  const path = /^[a-z][a-z0-9+.-]*:\/\/[^/?#]*([^?#]*)/i.exec(url)?.[1] ?? ''
  return path.replace(/\/+$/, '')
}
