import type { Cluster, ProcessName } from '@plateau/demo'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Outages } from './outages.js'

export interface Ending {
  readonly name: ProcessName
  readonly atMs: number
  /** The outage that it may come from; undefined: a process must not end in calm weather. */
  readonly during: string | undefined
  /** The end of its log. */
  readonly said: string
}

const LOOK_MS = 500

/**
 * Starts again what ended by itself, as a deployment's supervisor does, and keeps a list of it. What `chaos` killed it
 * starts itself.
 */
export async function supervise(
  cluster: Cluster,
  outages: Outages,
  { signal, say }: { readonly signal: AbortSignal; readonly say: (line: string) => void },
): Promise<readonly Ending[]> {
  const endings: Ending[] = []
  while (!signal.aborted) {
    await sleep(LOOK_MS, undefined, { signal }).catch(() => {})
    for (const name of cluster.processes) {
      if (signal.aborted || cluster.isRunning(name) || outages.inHand.has(name)) continue
      const atMs = Date.now()
      const during = outages.during([name], atMs, atMs)?.what
      endings.push({ name, atMs, during, said: cluster.logTail(name, 3) })
      say(`${name} ended by itself${during === undefined ? '' : ` (${during})`}; starting it again`)
      cluster.launch(name)
    }
  }
  return endings
}
