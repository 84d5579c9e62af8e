// An actor runtime for a test: no Bus, jitter from a seed, what actors failed of in a list.
import { ActorRuntime } from '../../actors/runtime/runtime.ts'
import { silentLogger, type Logger } from '../../src/base/logger.ts'
import { MetricsRegistry } from '../../src/base/metrics.ts'
import { seededRng } from '../../src/base/rng.ts'
import type { Clock } from '../../src/ports/clock.ts'

export function testRuntime(clock: Clock, metrics = new MetricsRegistry(), failures: string[] = []): ActorRuntime {
  const logger: Logger = {
    ...silentLogger,
    error: ({ actor, err }, message) => void failures.push(`${String(actor)}: ${message}: ${String(err)}`),
    child: () => logger,
  }
  return new ActorRuntime({ clock, bus: null, random: seededRng(1), logger, metrics })
}
