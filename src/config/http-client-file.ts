// A file that holds nothing but HTTP client settings, as --http.config.file of the tools names one.
import type { HttpClientOptions } from '../model/http-options.ts'
import { httpClientConfig, toHttpClientOptions } from './http-client.ts'
import type { ConfigProblem } from './problem.ts'
import { directoryOf, readText } from './prometheus-config.ts'
import type { ConfigFiles } from './prometheus-config.ts'
import { Reader } from './schema.ts'
import { isNull, parseYaml } from './yaml-tree.ts'

/** Reads the file; paths in it are relative to it. */
export function parseHttpClientConfig(
  path: string,
  files: Pick<ConfigFiles, 'readFile'>,
): { options: HttpClientOptions; problems: readonly [] } | { options: null; problems: readonly ConfigProblem[] } {
  const problems: ConfigProblem[] = []
  const source = readText(path, files, problems)
  if (source === null) return { options: null, problems }
  const tree = parseYaml(source, path)
  const reader = new Reader(tree, { file: path, directory: directoryOf(path) })
  if (tree.problems.length > 0) return { options: null, problems: tree.problems }
  const value = isNull(tree.root) ? httpClientConfig.defaults() : httpClientConfig.read(tree.root, reader, '')
  if (value === undefined || reader.problems.length > 0) return { options: null, problems: reader.problems }
  return { options: toHttpClientOptions(value), problems: [] }
}
