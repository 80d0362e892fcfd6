import { messageOf } from '@plateau/contracts'
import { caughtUp, trainedWindows } from '@plateau/faults'
import type { SoakSystem } from './system.js'

/** What became of every window that the log acknowledged. All but the first two must be 0. */
export interface Audit {
  readonly acknowledged: number
  readonly decided: number
  readonly withoutDecision: number
  readonly withTwoDecisions: number
  readonly withoutTrainingRecord: number
  readonly withTwoTrainingIds: number
  /** Windows that the trainer has not counted, or counted twice. */
  readonly trainerOffBy: number
  readonly problems: readonly string[]
}

/**
 * Stops the numbered stream, waits until scorer and trainer have worked everything off, and counts. `notMended`: how chaos
 * failed to be mended, if it did.
 */
export async function audit(system: SoakSystem, notMended: string | undefined): Promise<Audit> {
  const { workload, watch, captured, cluster } = system
  await workload.stop()
  const behind = await caughtUp(system).then(() => undefined, messageOf)
  const acknowledged = new Set([...captured.windows, ...workload.acknowledged.map((sample) => `${sample}/0`)])
  const without = (known: { has(window: string): boolean }) => [...acknowledged].filter((window) => !known.has(window))
  const [undecided, untrained] = [without(watch.decisions), without(watch.forTraining)]
  const twice = [...watch.decisions].filter(([, decisions]) => decisions.size > 1).map(([window]) => window)
  const trained = await trainedWindows(cluster).catch(() => 0)
  const named = (what: string, windows: readonly string[]) => windows.slice(0, 3).map((window) => `${window}: ${what}`)
  const readers = [watch.failure, captured.failure].filter((failure) => failure !== undefined)
  return {
    acknowledged: acknowledged.size,
    decided: watch.decisions.size,
    withoutDecision: undecided.length,
    withTwoDecisions: twice.length,
    withoutTrainingRecord: untrained.length,
    withTwoTrainingIds: watch.twoIds.size,
    trainerOffBy: Math.abs(watch.forTraining.size - trained),
    problems: [
      ...[notMended, behind].filter((problem) => problem !== undefined),
      ...readers.map((failure) => `a reader gave up: ${messageOf(failure)}`),
      ...named('acknowledged, and has no decision', undecided),
      ...named('has two decisions', twice),
      ...named('has no training record', untrained),
      ...named('has training records under two ids', [...watch.twoIds]),
    ],
  }
}
