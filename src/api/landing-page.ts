import type { BuildInfo } from './backend.ts'

const links: readonly (readonly [path: string, what: string])[] = [
  ['/metrics', 'Metrics of this server'],
  ['/-/healthy', 'Health'],
  ['/-/ready', 'Readiness'],
  ['/api/v1/targets', 'Targets'],
  ['/api/v1/rules', 'Rules'],
  ['/api/v1/alerts', 'Alerts'],
  ['/api/v1/query?query=up', 'The query "up"'],
  ['/api/v1/status/config', 'Configuration'],
  ['/api/v1/status/flags', 'Flags'],
  ['/api/v1/status/buildinfo', 'Build'],
  ['/api/v1/status/tsdb', 'Storage'],
]

/** A plain page for people where there is no browser app: what the server is and where to look. */
export function landingPage(title: string, externalPath: string, build: BuildInfo): string {
  const items = links.map(([path, what]) => `<li><a href="${escapeHtml(externalPath + path)}">${escapeHtml(what)}</a></li>`)
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${escapeHtml(title)}</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem}</style></head>
<body><h1>${escapeHtml(title)}</h1>
<p>Version ${escapeHtml(build.version)}. The HTTP API lies under <code>${escapeHtml(externalPath)}/api/v1</code>.</p>
<ul>
${items.join('\n')}
</ul>
</body></html>
`
}

export function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&#34;').replaceAll("'", '&#39;')
}
