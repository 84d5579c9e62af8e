import { messageOf } from '../base/errors.ts'
import type { TargetGroup } from '../model/target-group.ts'
import type { Timer } from '../ports/clock.ts'
import type { DiscoveryPorts, Mechanism } from './mechanism.ts'

/**
 * A mechanism that asks anew every `intervalMs`: at once when it starts, then on and on. A failed refresh keeps what the last good one found and is counted.
 * Refreshes never overlap: one that takes longer than the interval is followed by the next at once.
 * `name` is the mechanism, `config` the set it works for, as the metrics label them.
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
  return {
    start(emit) {
      metrics.refreshFailures.labels(name, config)
      metrics.refreshDuration.labels(name, config)
      metrics.refreshDurationHistogram.labels(name)
      const round = async (): Promise<void> => {
        const started = clock.monotonicMs()
        let found: readonly TargetGroup[] | null = null
        let failure: string | null = null
        try {
          found = await options.refresh(stopped.signal)
        } catch (thrown) {
          failure = messageOf(thrown)
        }
        if (stopped.signal.aborted) return // its metrics are gone with it
        const tookMs = clock.monotonicMs() - started
        metrics.refreshDuration.labels(name, config).observe(tookMs / 1000)
        metrics.refreshDurationHistogram.labels(name).observe(tookMs / 1000)
        timer = clock.after(Math.max(0, intervalMs - tookMs), () => void round())
        if (failure !== null) {
          metrics.refreshFailures.labels(name, config).inc()
          log.error({ discovery: name, config, err: failure }, 'Unable to refresh target groups')
        } else if (found !== null) emit(found)
      }
      void round()
    },
    stop() {
      stopped.abort()
      timer?.cancel()
    },
  }
}
