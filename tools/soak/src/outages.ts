import type { ProcessName } from '@plateau/demo'

/** A time in which something was away on purpose, from the blow until everything was ready again. */
export interface Outage {
  readonly what: string
  /** Who was hit; empty for what hits all. */
  readonly processes: readonly ProcessName[]
  readonly fromMs: number
  /** Undefined while it lasts. */
  untilMs: number | undefined
}

/** Ready again is not yet answered again: connections come back with pauses of up to two seconds. */
const GRACE_MS = 5_000

/** What chaos did, and when: a failure within it is its doing, any other is ours. */
export class Outages {
  readonly all: Outage[] = []
  /** Processes that whoever ended them starts again. */
  readonly inHand = new Set<ProcessName>()

  begin(what: string, processes: readonly ProcessName[], fromMs: number): Outage {
    const outage: Outage = { what, processes, fromMs, untilMs: undefined }
    this.all.push(outage)
    return outage
  }

  /** The outage of one of these processes, or of all, that a time overlaps. */
  during(processes: readonly ProcessName[], fromMs: number, untilMs: number): Outage | undefined {
    return this.all.find(
      (outage) =>
        (outage.processes.length === 0 || outage.processes.some((name) => processes.includes(name))) &&
        outage.fromMs <= untilMs &&
        (outage.untilMs ?? Infinity) + GRACE_MS >= fromMs,
    )
  }
}
