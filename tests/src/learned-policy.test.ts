import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SelectionPolicy, topics, TrainingWindow } from '@plateau/contracts'
import { Cluster, readPrompts } from '@plateau/demo'
import type { EventLog } from '@plateau/event-log'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Clients } from './clients.js'
import { demoModel, tinyModel } from './models.js'
import { readAll } from './read-all.js'
import { until } from './until.js'

/** From the request to the policy and back: target-model, scorer and trainer as processes on one log. */
describe('the weights of the closed form, learned from live traffic', () => {
  const directory = mkdtempSync(join(tmpdir(), 'plateau-learned-policy-'))
  let cluster: Cluster
  let log: EventLog
  let policy: SelectionPolicy
  let before: readonly TrainingWindow[]
  let after: readonly TrainingWindow[]

  beforeAll(async () => {
    const env = {
      // Told otherwise before: bins may turn out to weigh alike, which is what the scorer does unasked.
      'flatness-scorer': { PLATEAU_EVALUATION_SHARE: '0.2', PLATEAU_CLOSED_FORM_WEIGHT: 'inverse-flatness' },
      // Only the closed form, and not only in the time that clients leave.
      trainer: { PLATEAU_GRADIENTS: 'off', PLATEAU_NICENESS: '0' },
    }
    cluster = await Cluster.start({ directory, model: tinyModel, env })
    log = await cluster.openEventLog()
    const clients = new Clients([cluster.httpUrl], readPrompts(demoModel, 'sotu').prompts, 2)
    try {
      policy = await until(async () => (await policies()).find(({ binWeights }) => binWeights !== undefined), 180_000)
      const windows = await trainingWindows()
      before = windows.slice(0, 20)
      // What the scorer had under way when the policy came is past, too, when so many more have come.
      const later = windows.length + 150
      after = await until(async () => {
        const all = await trainingWindows()
        return all.length > later ? all.slice(later) : undefined
      }, 60_000)
    } finally {
      await clients.stop()
    }
  }, 300_000)

  afterAll(async () => {
    await log?.close()
    await cluster?.stop()
    rmSync(directory, { recursive: true, force: true })
  })

  const policies = async (): Promise<SelectionPolicy[]> =>
    (await readAll(log, topics.selectionPolicy.name)).map(({ value }) => SelectionPolicy.decode(value!))

  const trainingWindows = async (): Promise<TrainingWindow[]> =>
    (await readAll(log, topics.trainingWindows.name)).map(({ value }) => TrainingWindow.decode(value!))

  /** Share of the positions whose weight is that of a bin, by a policy so far. */
  const inBins = async (windows: readonly TrainingWindow[]): Promise<number> => {
    const learned = (await policies()).flatMap(({ binWeights }) => binWeights?.weights ?? [])
    const known = new Set(learned.map(Math.fround))
    const weights = windows.flatMap((window) => window.weights)
    return weights.filter((weight) => known.has(weight)).length / weights.length
  }

  test('stand on the policy topic with what they gain and why', () => {
    expect(policy).toMatchObject({ lineage: 'default', closedFormWeight: 'binned' })
    expect(policy.binWeights!.weights).toHaveLength(policy.binWeights!.effectiveTokens.length + 1)
    const { gain, standardError, count } = policy.gains.find(({ stage }) => stage === 'closed-form')!
    expect(count).toBeGreaterThanOrEqual(512)
    expect(gain).toBeGreaterThanOrEqual(0)
    expect(standardError).toBeGreaterThanOrEqual(0)
    expect(policy.evidence).toMatch(/Closed form: .* held-out positions/)
  })

  test('are what the scorer weighs later windows by', async () => {
    expect(await inBins(before)).toBeLessThan(0.5)
    expect(await inBins(after)).toBe(1)
  })
})
