// --web.config.file for the edge: read again whenever it has changed.
import { readFileSync, statSync } from 'node:fs'
import { utf8Text } from '../../base/bytes.ts'
import { PromhiveError } from '../../base/errors.ts'
import type { WebFiles } from '../../api/web-options.ts'
import { printProblem } from '../../config/problem.ts'
import { parseWebConfig } from '../../config/web-config.ts'
import { checkKeyPair } from '../tool/check-web-config.ts'

export const webFiles: WebFiles = {
  version(path) {
    const { mtimeMs, size, ino } = statSync(path)
    return `${ino}:${mtimeMs}:${size}`
  },
  read: (path) => readFileSync(path),
  parse(text, path) {
    const { config, problems } = parseWebConfig(utf8Text(text), path, { readFile: (file) => readFileSync(file, 'utf8'), checkKeyPair })
    if (config === null) throw new PromhiveError('CONFIG_INVALID', `cannot use ${path}:\n${problems.map(printProblem).join('\n')}`)
    return config
  },
}
