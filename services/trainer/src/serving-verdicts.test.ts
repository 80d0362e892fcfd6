import { topics } from '@plateau/contracts'
import { MetricRegistry, silentLogger, type Logger } from '@plateau/telemetry'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { declareTrainerMetrics } from './metrics.js'
import { ServingVerdicts } from './serving-verdicts.js'
import { Teacher } from './testing.js'
import { order, rollout } from './testing-serving.js'
import { useTrainerWorld } from './testing-world.js'

const world = useTrainerWorld(new Teacher())
const rollouts = topics.rollouts.name
const orders = topics.rolloutOrders.name

function listening() {
  const metrics = declareTrainerMetrics(new MetricRegistry())
  const warnings: unknown[] = []
  const logger: Logger = { ...silentLogger, warn: (message, fields) => void warnings.push([message, fields]) }
  const verdicts = new ServingVerdicts({ log: world.log, lineage: 'default', logger, metrics })
  const counted = () => ['serving', 'operator'].map((by) => metrics.versionsRefused.value({ by }) ?? 0)
  return { verdicts, counted, warnings }
}

test('a version that is refused counts once, whatever the number of servers that say so, by who decided', async () => {
  const { verdicts, counted, warnings } = listening()
  await verdicts.read(4)
  await world.send([rollout(3, 'REJECTED'), rollout(3, 'REJECTED', { server: 'there', orderedBy: 'here' })], rollouts)
  await world.send([rollout(4, 'ROLLED_BACK', { orderedBy: 'ann' }), rollout(2, 'REPLACED')], rollouts)
  await verdicts.read(4)
  expect(counted()).toEqual([1, 1])
  expect([2, 3, 4].map((version) => verdicts.hasRefused(version))).toEqual([false, true, true])
  expect(warnings).toEqual([
    [expect.anything(), expect.objectContaining({ version: 3, by: 'serving', isTrainedOn: false })],
    [expect.anything(), expect.objectContaining({ version: 4, by: 'operator', isTrainedOn: true })],
  ])
})

test('what was refused before the start is known, and not counted again', async () => {
  await world.send([rollout(3, 'REJECTED')], rollouts)
  const { verdicts, counted } = listening()
  await verdicts.read(3)
  expect(verdicts.hasRefused(3)).toBe(true)
  expect(counted()).toEqual([0, 0])
})

test('a version that goes live after all is refused no longer', async () => {
  const { verdicts } = listening()
  await world.send([rollout(3, 'REJECTED'), rollout(3, 'LIVE'), rollout(4, 'ROLLED_BACK')], rollouts)
  await verdicts.read(4)
  expect([verdicts.hasRefused(3), verdicts.hasRefused(4)]).toEqual([false, true])
})

test('the newest orders say what is live and what is pinned', async () => {
  const { verdicts } = listening()
  await verdicts.readOrders()
  expect([verdicts.live, verdicts.held]).toEqual([0, []])
  await world.send([order('LIVE', 2), order('PIN', 5), order('LIVE', 4), order('RETIRE', 3)], orders)
  await verdicts.readOrders()
  expect([verdicts.live, verdicts.held]).toEqual([4, [4, 5]])
  await world.send([order('UNPIN', 0)], orders)
  await verdicts.readOrders()
  expect(verdicts.held).toEqual([4])
})

test('of other lineages nothing counts, and what is no record of the topic stops nothing', async () => {
  const { verdicts, counted, warnings } = listening()
  await verdicts.read(3)
  const garbage = { key: 'default', value: Buffer.from([255]), headers: {} }
  await world.send([garbage, rollout(3, 'REJECTED', { lineage: 'another' }), { ...garbage, value: null }], rollouts)
  await world.send([garbage, order('LIVE', 9, 'another'), order('LIVE', 3)], orders)
  await verdicts.read(3)
  expect([verdicts.live, verdicts.hasRefused(3), counted()]).toEqual([3, false, [0, 0]])
  expect(warnings).toHaveLength(2)
})

test('a trainer at work listens', async () => {
  const bench = await world.open()
  const running = bench.trainer.run()
  // What it is told with its first look was there before.
  await world.send([rollout(1, 'REJECTED')], rollouts)
  for (let version = 2; (bench.metrics.versionsRefused.value({ by: 'serving' }) ?? 0) === 0; version++) {
    await world.send([rollout(version, 'REJECTED')], rollouts)
    await sleep(50)
  }
  await bench.trainer.close()
  await running
  expect(bench.metrics.versionsRefused.value({ by: 'operator' }) ?? 0).toBe(0)
})
