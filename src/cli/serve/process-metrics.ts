// What the process itself uses, under the names Prometheus' dashboards know, and what the Node runtime adds.
import { readdirSync, readFileSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import v8 from 'node:v8'
import type { MetricFamily, MetricKind } from '../../base/metrics.ts'

export type BuildNames = Readonly<{ version: string; revision: string; branch: string }>

/** A timer that looks how late it comes. Each time wakes the process up, which is most of what it does when it is idle. */
const lookEveryMs = 1000

export function processMetrics(startTimeMs: number, build: BuildNames): () => MetricFamily[] {
  const delay = monitorEventLoopDelay({ resolution: lookEveryMs })
  // what Node gives is the time between two looks
  const late = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e9 - lookEveryMs / 1000)
  delay.enable()
  return () => {
    const usage = process.cpuUsage()
    const memory = process.memoryUsage()
    const heap = v8.getHeapStatistics()
    const loop = { p50: late(delay.percentile(50)), p99: late(delay.percentile(99)), max: late(delay.max) }
    delay.reset()
    const rows: [MetricKind, string, string, number][] = [
      ['counter', 'process_cpu_seconds_total', 'Total user and system CPU time spent in seconds.', (usage.user + usage.system) / 1e6],
      ['gauge', 'process_resident_memory_bytes', 'Resident memory size in bytes.', memory.rss],
      ['gauge', 'process_virtual_memory_bytes', 'Virtual memory size in bytes.', virtualBytes()],
      ['gauge', 'process_start_time_seconds', 'Start time of the process since unix epoch in seconds.', startTimeMs / 1000],
      ['gauge', 'process_open_fds', 'Number of open file descriptors.', openFiles()],
      ['gauge', 'process_max_fds', 'Maximum number of open file descriptors.', openFilesMax],
      [
        'gauge',
        'go_goroutines',
        'Stands for the number of goroutines: resources that keep the event loop alive.',
        process.getActiveResourcesInfo().length,
      ],
      [
        'gauge',
        'go_memstats_heap_inuse_bytes',
        'Stands for the bytes of the heap in use: the JavaScript heap of the main thread.',
        heap.used_heap_size,
      ],
      [
        'gauge',
        'go_memstats_alloc_bytes',
        'Stands for the bytes allocated and in use: JavaScript heap and array buffers.',
        memory.heapUsed + memory.arrayBuffers,
      ],
      ['gauge', 'nodejs_heap_size_total_bytes', 'Size of the JavaScript heap of the main thread.', memory.heapTotal],
      ['gauge', 'nodejs_heap_size_used_bytes', 'Used part of the JavaScript heap of the main thread.', memory.heapUsed],
      ['gauge', 'nodejs_external_memory_bytes', 'Memory outside the JavaScript heap that its objects hold.', memory.external],
      ['gauge', 'nodejs_eventloop_lag_p50_seconds', 'Median delay of the main event loop since the last scrape.', loop.p50],
      ['gauge', 'nodejs_eventloop_lag_p99_seconds', '99th percentile of the delay of the main event loop since the last scrape.', loop.p99],
      ['gauge', 'nodejs_eventloop_lag_max_seconds', 'Longest delay of the main event loop since the last scrape.', loop.max],
    ]
    return [
      ...rows.map(([kind, name, help, value]): MetricFamily => ({ name, help, kind, samples: [{ suffix: '', labels: [], value }] })),
      constant('prometheus_build_info', "A metric with a constant '1' value labeled by version, revision, branch, goversion from which prometheus was built, and the goos and goarch for the build.", [
        'branch', build.branch, 'goarch', process.arch, 'goos', process.platform, 'goversion', process.version, 'revision', build.revision, 'tags', 'promhive', 'version', build.version,
      ]), // prettier-ignore
      constant('go_info', 'Information about the runtime environment.', ['version', process.version]),
      constant('nodejs_version_info', 'Version of Node.js.', ['version', process.version]),
    ]
  }
}

function constant(name: string, help: string, labels: readonly string[]): MetricFamily {
  return { name, help, kind: 'gauge', samples: [{ suffix: '', labels, value: 1 }] }
}

function virtualBytes(): number {
  try {
    return Number(readFileSync('/proc/self/statm', 'utf8').split(' ')[0]) * 4096
  } catch {
    return NaN
  }
}

function openFiles(): number {
  try {
    return readdirSync('/proc/self/fd').length
  } catch {
    return NaN
  }
}

const openFilesMax = ((): number => {
  try {
    return Number(/Max open files\s+(\d+)/.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1] ?? NaN)
  } catch {
    return NaN
  }
})()
