import { messageOf } from '@plateau/contracts'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Scenario, ScenarioResult } from './scenario.js'
import type { Stage } from './stage.js'

/** How long everything runs undisturbed before the damage, and again after it was mended. */
const CALM_MS = 2000
const FLOWING_MS = 60_000
const SAMPLE_MS = 500

/**
 * One scenario on a running system, then the audit: every acknowledged window must have one decision, a training record,
 * and be in the trainer's count once, and no request may have failed.
 */
export async function runScenario(scenario: Scenario, stage: Stage): Promise<ScenarioResult> {
  const { watch, workload, users } = stage
  const before = {
    acknowledged: workload.acknowledged.length,
    failures: users.failures.length,
    answered: users.answered,
    retried: users.retried,
    repeated: watch.repeated,
  }
  let residentMiB = 0
  const sampling = setInterval(() => {
    void stage.residentMiB().then((now) => (residentMiB = Math.max(residentMiB, now)))
  }, SAMPLE_MS)
  try {
    await sleep(CALM_MS)
    const damagedAtMs = Date.now()
    const facts = (await scenario.run(stage)) ?? {}
    const mendedAtMs = Date.now()
    const flowingAtMs = await nextScored(stage, mendedAtMs)
    await sleep(CALM_MS)
    const settledAtMs = Date.now()
    await workload.stop()
    await users.stop()
    await stage.caughtUp()
    await sleep(SAMPLE_MS)

    const expired = new Set(facts.expired)
    const mine = workload.acknowledged.slice(before.acknowledged).filter((sample) => !expired.has(sample))
    const lost = mine.filter((sample) => !watch.decisions.has(`${sample}/0`) || !watch.forTraining.has(`${sample}/0`))
    const contradicted = [...watch.decisions.values()].filter((decisions) => decisions.size > 1).length
    const trained = await stage.trained()
    const missed = Math.max(0, watch.forTraining.size - trained)
    const failed = users.failures.slice(before.failures)
    const problems = [
      ...lost.slice(0, 3).map((sample) => `${sample} was acknowledged and has no decision or training record`),
      ...(missed > 0 ? [`the trainer has counted ${trained} of ${watch.forTraining.size} windows`] : []),
      ...(trained > watch.forTraining.size
        ? [`the trainer counted ${trained} of ${watch.forTraining.size} windows`]
        : []),
      ...(contradicted > 0 ? [`${contradicted} windows have two decisions`] : []),
      ...(watch.twoIds.size > 0 ? [`${watch.twoIds.size} windows have training records under two ids`] : []),
      ...failed.slice(0, 3).map(({ message }) => `a request failed: ${message}`),
      ...(watch.failure === undefined ? [] : [`a reader gave up: ${messageOf(watch.failure)}`]),
    ]
    users.start()
    workload.start()
    return {
      name: scenario.name,
      acknowledged: mine.length,
      lost: lost.length + missed,
      doubled: contradicted + Math.max(0, trained - watch.forTraining.size),
      failedRequests: failed.length,
      answeredRequests: users.answered - before.answered,
      retriedRequests: users.retried - before.retried,
      stallSeconds: watch.longestStallSeconds(damagedAtMs, settledAtMs),
      flowingAfterSeconds: Math.max(0, flowingAtMs - mendedAtMs) / 1000,
      redelivered: watch.repeated - before.repeated,
      residentMiB,
      problems,
      ...(facts.figures && { figures: facts.figures }),
    }
  } finally {
    clearInterval(sampling)
  }
}

async function nextScored({ watch }: Stage, afterMs: number): Promise<number> {
  for (;;) {
    const found = watch.scoredAtMs.findLast((at) => at > afterMs)
    if (found !== undefined) return watch.scoredAtMs.find((at) => at > afterMs)!
    if (Date.now() > afterMs + FLOWING_MS) throw new Error(`nothing was scored for ${FLOWING_MS / 1000} s`)
    await sleep(20)
  }
}
