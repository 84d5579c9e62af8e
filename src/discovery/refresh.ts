import { messageOf } from '../base/errors.ts'
import type { TargetGroup } from '../model/target-group.ts'
import type { Timer } from '../ports/clock.ts'
import type { DiscoveryPorts, Mechanism } from './mechanism.ts'

/**
 * A mechanism that asks anew every `intervalMs`: at once when it starts, then on and on. A failed refresh keeps what the last good one found and is counted.
 * Refreshes never overlap. `name` is the mechanism, `config` the set it works for, as the metrics label them.
 */
export function refreshing(
  options: Readonly<{
    name: string
    config: string
    intervalMs: number
    refresh: (signal: AbortSignal) => Promise<readonly TargetGroup[]>
  }>,
  ports: DiscoveryPorts,
): Mechanism {
  const stopped = new AbortController()
  let timer: Timer | null = null
  const { clock, log, metrics } = ports
  const { name, config, intervalMs } = options
  metrics.refreshFailures.labels(name, config).inc(0)
  return {
    start(emit) {
      const round = async (): Promise<void> => {
        const started = clock.monotonicMs()
        try {
          const groups = await options.refresh(stopped.signal)
          if (!stopped.signal.aborted) emit(groups)
        } catch (thrown) {
          if (stopped.signal.aborted) return
          metrics.refreshFailures.labels(name, config).inc()
          log.error({ discovery: name, config, err: messageOf(thrown) }, 'Unable to refresh target groups')
        }
        const seconds = (clock.monotonicMs() - started) / 1000
        metrics.refreshDuration.labels(name, config).observe(seconds)
        metrics.refreshDurationHistogram.labels(name).observe(seconds)
        if (!stopped.signal.aborted) timer = clock.after(intervalMs, () => void round())
      }
      void round()
    },
    stop() {
      stopped.abort()
      timer?.cancel()
    },
  }
}
