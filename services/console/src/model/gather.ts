import type { Rollout } from '@plateau/contracts'

/** One event, and the servers that said the same of the same version. */
export interface SaidTogether {
  readonly event: Rollout
  readonly servers: readonly string[]
}

const TOGETHER_MS = 60_000

/** Joins what several servers said of a version within a minute; in the order of the first one to say it. */
export function gatherServers(events: readonly Rollout[]): SaidTogether[] {
  const gathered: { event: Rollout; servers: string[] }[] = []
  const newest = new Map<string, { event: Rollout; servers: string[] }>()
  for (const event of events) {
    const key = JSON.stringify([event.version, event.state, event.otherVersion, event.orderedBy, event.reason])
    const said = newest.get(key)
    const isSame = said !== undefined && Math.abs(event.atMs - said.event.atMs) < TOGETHER_MS
    if (isSame && !said.servers.includes(event.server)) {
      said.servers.push(event.server)
      continue
    }
    const group = { event, servers: [event.server] }
    newest.set(key, group)
    gathered.push(group)
  }
  return gathered
}
