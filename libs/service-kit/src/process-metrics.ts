import type { Metrics, ProcessIdentity } from '@plateau/telemetry'
import { monitorEventLoopDelay } from 'node:perf_hooks'

/** What every process shows of itself: its version, memory, processor time, and how late its event loop runs. */
export function declareProcessMetrics(metrics: Metrics, identity: ProcessIdentity): { stop(): void } {
  metrics.gauge('plateau_build_info').set({ version: identity['service.version'] }, 1)
  metrics.gauge('plateau_process_resident_memory_bytes').observe(() => [[{}, process.memoryUsage.rss()]])
  metrics.gauge('plateau_process_heap_used_bytes').observe(() => [[{}, process.memoryUsage().heapUsed]])
  metrics.gauge('plateau_process_cpu_seconds').observe(() => {
    const { user, system } = process.cpuUsage()
    return [[{}, (user + system) / 1e6]]
  })
  const delay = monitorEventLoopDelay({ resolution: 20 })
  delay.enable()
  metrics.gauge('plateau_event_loop_delay_p99_seconds').observe(() => {
    const p99Seconds = delay.percentile(99) / 1e9
    delay.reset()
    return [[{}, p99Seconds]]
  })
  return { stop: () => delay.disable() }
}
