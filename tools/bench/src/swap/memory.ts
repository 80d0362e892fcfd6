import type { Cluster } from '@plateau/demo'
import { setTimeout as sleep } from 'node:timers/promises'
import { mean } from '../statistics.js'

export interface MemorySample {
  readonly residentMiB: number
  readonly heapMiB: number
}

const SAMPLE_EVERY_MS = 1000

/** Serving's memory once a second, as its /metrics says, until the signal. */
export async function watchMemory(cluster: Cluster, signal: AbortSignal): Promise<MemorySample[]> {
  const samples: MemorySample[] = []
  while (!signal.aborted) {
    const text = await (await fetch(`${cluster.opsUrl('serving')}/metrics`)).text()
    const mebibytes = (name: string): number => Number(new RegExp(`^${name} (\\S+)`, 'm').exec(text)?.[1]) / 2 ** 20
    samples.push({
      residentMiB: mebibytes('plateau_process_resident_memory_bytes'),
      heapMiB: mebibytes('plateau_process_heap_used_bytes'),
    })
    await sleep(SAMPLE_EVERY_MS, undefined, { signal }).catch(() => {})
  }
  return samples
}

/** Mean of the last tenth less that of the second one: the first tenth still fills caches. NaN of fewer than ten. */
export function growth(values: readonly number[]): number {
  const tenth = Math.floor(values.length / 10)
  return mean(values.slice(values.length - tenth)) - mean(values.slice(tenth, 2 * tenth))
}
