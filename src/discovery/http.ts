// Target groups from an HTTP endpoint (FEATURES 2.06): JSON, status 200, Content-Type application/json. Source: prometheus discovery/http.
import { utf8Text } from '../base/bytes.ts'
import { limits } from '../base/limits.ts'
import { PromhiveError } from '../base/errors.ts'
import { withLabel } from '../model/labels.ts'
import type { TargetGroup } from '../model/target-group.ts'
import type { DiscoveryPorts, Mechanism } from './mechanism.ts'
import type { HttpDiscovery } from './options.ts'
import { refreshing } from './refresh.ts'
import { parseTargetGroups } from './target-file.ts'

export function httpDiscovery(options: HttpDiscovery, config: string, ports: DiscoveryPorts): Mechanism {
  const client = ports.http.client(options.http)
  let before = 0
  const refresh = async (signal: AbortSignal): Promise<readonly TargetGroup[]> => {
    try {
      const answer = await client.request({
        method: 'GET',
        url: options.url,
        headers: {
          'user-agent': ports.userAgent,
          accept: 'application/json',
          'x-prometheus-refresh-interval-seconds': String(options.refreshIntervalMs / 1000),
        },
        timeoutMs: options.refreshIntervalMs,
        bodyBytesMax: limits.configBytesMax,
        signal,
      })
      if (answer.status !== 200) throw new PromhiveError('DISCOVERY', `server returned HTTP status ${answer.status}`)
      const contentType = answer.headers['content-type'] ?? ''
      if (!/^application\/json(;\s*charset=("utf-8"|utf-8))?$/i.test(contentType.trim())) {
        throw new PromhiveError('DISCOVERY', `unsupported content type ${JSON.stringify(contentType)}`)
      }
      const groups = parseTargetGroups(utf8Text(answer.body), 'json', (i) => `${options.url}:${i}`).map((group) => ({
        ...group,
        labels: withLabel(group.labels, '__meta_url', options.url),
      }))
      const found: TargetGroup[] = [...groups]
      for (let i = groups.length; i < before; i++) found.push({ source: `${options.url}:${i}`, targets: [], labels: [] })
      before = groups.length
      return found
    } catch (thrown) {
      ports.metrics.httpFailures.inc()
      throw thrown
    }
  }
  const inner = refreshing({ name: 'http', config, intervalMs: options.refreshIntervalMs, refresh }, ports)
  return {
    start: (emit) => inner.start(emit),
    stop: () => {
      inner.stop()
      void client.close()
    },
  }
}
