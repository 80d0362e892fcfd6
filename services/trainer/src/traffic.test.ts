import { PlateauError, topics } from '@plateau/contracts'
import type { NewRecord } from '@plateau/event-log'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { trainerDeadLetters } from './dead-letters.js'
import { lagGroupOf } from './lag-group.js'
import { Teacher, trainingRecord, type Bench } from './testing.js'
import { useTrainerWorld } from './testing-world.js'
import { isLearnedFrom } from './traffic.js'
import { acceptOfTraffic, acceptRecord, expectationsOf } from './training-record.js'

const teacher = new Teacher()
const world = useTrainerWorld(teacher)
const expectations = expectationsOf(teacher.model)

const recordsOf = (domain: string, count: number, first = 0): NewRecord[] =>
  Array.from({ length: count }, (_, i) =>
    trainingRecord({ ...teacher.window(`${domain}-${first + i}`), domain, tenant: i % 3 === 0 ? '' : 'acme' }),
  )

const counted = ({ trainer }: Bench): number =>
  Object.values(trainer.counts.windows).reduce((sum, windows) => sum + windows, 0)

test.each([
  [{}, true],
  [{ trainDomains: ['chat', 'code'] }, true],
  [{ trainDomains: ['code'] }, false],
  [{ trainTenants: ['acme'] }, true],
  [{ trainTenants: [''] }, false],
  [{ trainDomains: ['chat'], trainTenants: ['others'] }, false],
])('with %j a window of acme and chat is learned from: %j', (traffic, expected) => {
  expect(isLearnedFrom(traffic, { domain: 'chat', tenant: 'acme' })).toBe(expected)
})

test('traffic without a name is asked for by an empty one', () => {
  const unnamed = { domain: '', tenant: '' }
  expect(isLearnedFrom({ trainDomains: ['', 'chat'], trainTenants: [''] }, unnamed)).toBe(true)
  expect(isLearnedFrom({ trainDomains: ['chat'] }, unnamed)).toBe(false)
})

test('of a window of other traffic nothing is judged but that it is one', () => {
  const foreign = teacher.window('foreign')
  foreign.provenance!.targetFingerprint = 'another'
  const at = { topic: 't', partition: 0, offset: 0, timestampMs: 0 }
  const record = { ...at, ...trainingRecord({ ...foreign, domain: 'chat' }) }
  expect(acceptOfTraffic(record, expectations, { trainDomains: ['code'] })).toBeUndefined()
  expect(() => acceptOfTraffic(record, expectations, { trainDomains: ['chat'] })).toThrow(PlateauError)
  expect(() => acceptOfTraffic({ ...record, headers: {} }, expectations, { trainDomains: ['code'] })).toThrow('header')
})

test('two lineages make two drafts of one stream: each sees every window and learns from its own', async () => {
  const options = { gradients: true, testFirstPositions: 200, replayPositions: 1500 }
  const chat = await world.open({ ...options, trainDomains: ['chat'] })
  const code = await world.open({ ...options, lineage: 'code', trainDomains: ['code'] })
  const running = [chat, code].map(({ trainer }) => trainer.run())
  await world.send([...recordsOf('chat', 70), ...recordsOf('code', 40), ...recordsOf('maths', 10)])
  while (counted(chat) < 70 || counted(code) < 40) await Promise.race([sleep(5), ...running])
  while (chat.metrics.otherTraffic.value({}) < 50 || code.metrics.otherTraffic.value({}) < 80) await sleep(5)
  for (const { trainer } of [chat, code]) await trainer.close()
  await Promise.all(running)

  const domainAt = new Map(
    (await world.readAll(topics.trainingWindows.name)).map((record) => {
      const { place, domain } = acceptRecord(record, expectations)
      return [`${place.partition}/${place.offset}`, domain]
    }),
  )
  const ends = (await world.log.offsets(topics.trainingWindows.name))
    .filter(({ next }) => next > 0)
    .map(({ partition, next }) => ({ partition, offset: next }))
  for (const [{ store }, lineage, domain] of [
    [chat, 'default', 'chat'],
    [code, 'code', 'code'],
  ] as const) {
    const { offsets, waiting, replay, heldOut, calibration, closedForm } = await world.savedHeadState(store, lineage)
    expect(offsets.toSorted((a, b) => a.partition - b.partition)).toEqual(ends)
    const committed = await world.log.committed(lagGroupOf({ lineage }), topics.trainingWindows.name)
    expect(committed.filter(({ offset }) => offset >= 0)).toEqual(ends)
    const held = [...waiting, ...replay, ...heldOut, ...calibration]
    expect(held.length).toBeGreaterThan(5)
    expect(new Set(held.map((at) => domainAt.get(`${at.partition}/${at.offset}`)))).toEqual(new Set([domain]))
    expect(new Set(closedForm.bank.cells.map(({ key }) => key.domain))).toEqual(new Set([domain]))
  }
  const announced = (await world.announcements()).map(({ lineage, version }) => `${lineage}/${version}`)
  expect(announced).toEqual(expect.arrayContaining(['default/1', 'code/1']))
  expect(await world.readAll(trainerDeadLetters.name)).toEqual([])
})

test('what waited is not taken up again when its domain is no longer learned from', async () => {
  await world.send([...recordsOf('chat', 40), ...recordsOf('code', 40)])
  const both = await world.open({ testFirstPositions: 5000 })
  await world.trained(both)
  const before = await world.savedHeadState(both.store)
  const code = await world.open({ testFirstPositions: 0, trainDomains: ['code'] })
  await world.send(recordsOf('code', 1, 40))
  await world.trained(code)
  const after = await world.savedHeadState(both.store)
  const weights = (of: typeof before) =>
    Object.fromEntries(of.closedForm.bank.cells.map(({ key, sums }) => [key.domain, sums.weight]))
  expect(weights(after)['chat']).toBe(weights(before)['chat'])
  expect(weights(after)['code']).toBeGreaterThan(weights(before)['code'] ?? 0)
})

test('lineages that read the whole stream show each its own lag, those that share it one', () => {
  expect(lagGroupOf({ lineage: 'default' })).toBe('trainer.train.v1')
  expect(lagGroupOf({ lineage: 'code' })).toBe('trainer.train.v1.code')
  expect(lagGroupOf({ lineage: 'second', partitions: [2, 3] })).toBe('trainer.train.v1')
})
