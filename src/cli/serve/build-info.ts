import { readFileSync } from 'node:fs'

const manifest = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as {
  version: string
  promhive?: { revision?: string; branch?: string; buildDate?: string }
}

/** What this program is. Revision, branch and date are written into package.json by a release; a checkout has none. */
export const buildInfo = {
  version: manifest.version,
  revision: manifest.promhive?.revision ?? '',
  branch: manifest.promhive?.branch ?? '',
  buildUser: '',
  buildDate: manifest.promhive?.buildDate ?? '',
  goVersion: process.version,
} as const
