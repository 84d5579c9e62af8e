// file_sd_configs (FEATURES 2.05). Source: prometheus discovery/file.
import { quote } from '../../model/labels.ts'
import { always, duration, field, filePath, list } from '../schema.ts'
import { discoverySection, options } from './kind.ts'

const pattern = /^[^*]*(\*[^/]*)?\.(json|yml|yaml|JSON|YML|YAML)$/

export const fileDiscovery = discoverySection(
  'file',
  'file.plain',
  {
    files: always(
      list(filePath({ check: (name) => (pattern.test(name) ? null : `path name ${quote(name)} is not valid for file discovery`) })),
    ),
    refresh_interval: field(duration(), 300_000),
  },
  (value, report) => {
    if (value.files.length === 0) report('files', 'file service discovery config must contain at least one path name')
  },
  (value) => ({ kind: 'file', ...options(value) }),
)
