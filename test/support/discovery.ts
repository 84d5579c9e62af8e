// Ports for discovery under test: virtual time and network, a table of DNS records, the real disk and watcher, and what was logged.
import type { Logger } from '../../src/base/logger.ts'
import { MetricsRegistry } from '../../src/base/metrics.ts'
import { PromhiveError } from '../../src/base/errors.ts'
import { seededRng } from '../../src/base/rng.ts'
import type { DiscoveryPorts } from '../../src/discovery/mechanism.ts'
import { discoveryMetrics } from '../../src/discovery/metrics.ts'
import { labelPairs, labelsToObject } from '../../src/model/labels.ts'
import type { TargetGroup } from '../../src/model/target-group.ts'
import { nodeDisk } from '../../src/ports/node/disk.ts'
import { nodeWatcher } from '../../src/ports/node/watcher.ts'
import type { RecordOf, RecordType, Resolver } from '../../src/ports/resolver.ts'
import { simulatedClock, type SimulatedClock } from '../../src/ports/simulated/clock.ts'
import { simulatedNetwork, type SimulatedNetwork } from '../../src/ports/simulated/http.ts'

export type LoggedLine = Readonly<{ level: string; message: string; fields: Readonly<Record<string, unknown>> }>

export type DiscoveryBench = Readonly<{
  clock: SimulatedClock
  network: SimulatedNetwork
  ports: DiscoveryPorts
  /** `SRV name` → records; 'fail' where the servers do not answer. */
  records: Map<string, readonly unknown[] | 'fail'>
  logged: LoggedLine[]
  /** The value of a metric with these labels in this order, or undefined where it is not exposed. */
  metric(name: string, ...labels: string[]): Promise<number | undefined>
}>

export function discoveryBench(): DiscoveryBench {
  const clock = simulatedClock(1_700_000_000_000)
  const network = simulatedNetwork(clock, seededRng(1))
  const registry = new MetricsRegistry()
  const records = new Map<string, readonly unknown[] | 'fail'>()
  const logged: LoggedLine[] = []
  const resolver: Resolver = {
    async resolve<T extends RecordType>(name: string, type: T): Promise<readonly RecordOf[T][]> {
      const found = records.get(`${type} ${name}`) ?? []
      if (found === 'fail') throw new PromhiveError('DISCOVERY', `cannot resolve ${type} records of ${name}: timeout`)
      return found as readonly RecordOf[T][]
    },
  }
  return {
    clock,
    network,
    records,
    logged,
    ports: {
      clock,
      disk: nodeDisk(),
      http: network.http('us'),
      resolver,
      watcher: nodeWatcher(),
      log: recorder(logged),
      metrics: discoveryMetrics(registry),
      userAgent: 'Prometheus/test',
    },
    async metric(name, ...labels) {
      const families = await registry.gather()
      for (const { name: family, samples } of families) {
        for (const sample of samples) {
          const values = sample.labels.filter((_, i) => i % 2 === 1)
          if (family + sample.suffix === name && values.join() === labels.join()) return sample.value
        }
      }
      return undefined
    },
  }
}

function recorder(lines: LoggedLine[], fixed: Readonly<Record<string, unknown>> = {}): Logger {
  const at = (level: string) => (fields: Readonly<Record<string, unknown>>, message: string) =>
    void lines.push({ level, message, fields: { ...fixed, ...fields } })
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: (fields) => recorder(lines, { ...fixed, ...fields }),
  }
}

/** `address{label="value"}` of every target, sorted: labels of the group and of the target, `__address__` first. */
export function targetsOf(groups: readonly TargetGroup[]): string[] {
  return groups
    .flatMap(({ targets, labels }) =>
      targets.map((target) => {
        const all = { ...labelsToObject(labels), ...labelsToObject(target) }
        const rest = Object.entries(all).filter(([name]) => name !== '__address__')
        return `${all['__address__'] ?? ''}{${rest.map(([name, value]) => `${name}=${value}`).join()}}`
      }),
    )
    .sort()
}

/** Only the addresses. */
export function addressesOf(groups: readonly TargetGroup[]): string[] {
  return groups
    .flatMap(({ targets }) => targets.map((target) => [...labelPairs(target)].find(([name]) => name === '__address__')![1]))
    .sort()
}
