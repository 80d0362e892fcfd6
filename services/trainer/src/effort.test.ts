import { MetricRegistry, silentLogger } from '@plateau/telemetry'
import { expect, test } from 'vitest'
import { Effort } from './effort.js'
import { declareTrainerMetrics } from './metrics.js'

test('says once a minute how much of it was work and what came of it', async () => {
  const metrics = declareTrainerMetrics(new MetricRegistry())
  const lines: unknown[] = []
  let nowMs = 0
  const logger = { ...silentLogger, info: (_: string, facts: unknown) => void lines.push(facts) }
  const effort = new Effort({ metrics, logger, clock: () => nowMs }, { closedForm: 1000, gradients: 0 })
  const takes = (ms: number) => async () => void (nowMs += ms)

  await effort.spend('refresh', takes(10_000))
  await effort.spend('step', takes(5000))
  metrics.stepPositions.add({}, 6000)
  metrics.loss.set({}, 0.5)
  metrics.gradientNorm.set({}, 2)
  nowMs = 59_000
  effort.report({ closedForm: 4000, gradients: 0 })
  expect(lines).toEqual([])
  nowMs = 60_000
  effort.report({ closedForm: 4000, gradients: 0 })
  nowMs = 120_000
  effort.report({ closedForm: 4000, gradients: 0 })
  const numbers = { loss: 0.5, gradientNorm: 2 }
  expect(lines).toEqual([
    { closedFormPositionsPerSecond: 50, stepPositionsPerSecond: 100, utilisation: 0.25, ...numbers },
    { closedFormPositionsPerSecond: 0, stepPositionsPerSecond: 0, utilisation: 0 },
  ])
  expect(metrics.busySeconds.value({ work: 'refresh' })).toBe(10)
  expect(metrics.utilisation.value({})).toBe(0)
})

test('work that fails was work', async () => {
  const metrics = declareTrainerMetrics(new MetricRegistry())
  let nowMs = 0
  const effort = new Effort({ metrics, logger: silentLogger, clock: () => nowMs }, { closedForm: 0, gradients: 0 })
  const failing = async () => {
    nowMs += 2000
    throw new Error('fails')
  }
  await expect(effort.spend('step', failing)).rejects.toThrow('fails')
  expect(metrics.busySeconds.value({ work: 'step' })).toBe(2)
})
