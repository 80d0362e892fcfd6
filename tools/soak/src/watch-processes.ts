import type { Cluster, ProcessName } from '@plateau/demo'
import { readdir, readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

/** What one process held at one moment. */
export interface Sample {
  readonly atMs: number
  readonly pid: number
  readonly residentMiB: number
  /** Undefined where the process did not answer. */
  readonly heapMiB: number | undefined
  readonly loopDelayMs: number | undefined
  /** Undefined where the system does not say it (Linux does). */
  readonly files: number | undefined
  readonly threads: number | undefined
}

const EVERY_MS = 2_000
const ANSWER_MS = 5_000
const MIB = 2 ** 20

/** Looks at every process every two seconds until the signal. */
export async function watchProcesses(
  cluster: Cluster,
  signal: AbortSignal,
): Promise<ReadonlyMap<ProcessName, readonly Sample[]>> {
  const samples = new Map<ProcessName, Sample[]>(cluster.processes.map((name) => [name, []]))
  while (!signal.aborted) {
    await Promise.all(
      cluster.processes.map(async (name) => {
        const pid = cluster.processId(name)
        const sample = pid === undefined ? undefined : await look(cluster.opsUrl(name), pid)
        if (sample !== undefined) samples.get(name)!.push(sample)
      }),
    )
    await sleep(EVERY_MS, undefined, { signal }).catch(() => {})
  }
  return samples
}

async function look(opsUrl: string, pid: number): Promise<Sample | undefined> {
  const [metrics, kernel] = await Promise.all([readMetrics(opsUrl), readKernel(pid)])
  const residentMiB = kernel?.residentMiB ?? metrics?.residentMiB
  if (residentMiB === undefined) return undefined
  return {
    atMs: Date.now(),
    pid,
    residentMiB,
    heapMiB: metrics?.heapMiB,
    loopDelayMs: metrics?.loopDelayMs,
    files: kernel?.files,
    threads: kernel?.threads,
  }
}

async function readMetrics(opsUrl: string) {
  try {
    const response = await fetch(`${opsUrl}/metrics`, { signal: AbortSignal.timeout(ANSWER_MS) })
    const text = await response.text()
    const value = (name: string): number => Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)`, 'm').exec(text)?.[1])
    return {
      residentMiB: value('plateau_process_resident_memory_bytes') / MIB,
      heapMiB: value('plateau_process_heap_used_bytes') / MIB,
      loopDelayMs: value('plateau_event_loop_delay_p99_seconds') * 1000,
    }
  } catch {
    return undefined
  }
}

/** Linux's /proc; elsewhere there is none. */
async function readKernel(pid: number) {
  try {
    const [status, files] = await Promise.all([readFile(`/proc/${pid}/status`, 'utf8'), readdir(`/proc/${pid}/fd`)])
    const value = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1])
    // A process that is ending has no memory any more.
    if (Number.isNaN(value('VmRSS'))) return undefined
    return { residentMiB: value('VmRSS') / 1024, threads: value('Threads'), files: files.length }
  } catch {
    return undefined
  }
}
