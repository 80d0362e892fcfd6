import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { allTopics, deadLetterTopics, topics } from '@plateau/contracts'
import type { TopicDifference } from '@plateau/event-log'
import { openEmbeddedEventLog } from '@plateau/event-log-embedded'
import { expect, test } from 'vitest'
import { plateau } from '../testing/run-command.js'
import { temporaryDirectory, temporaryLog } from '../testing/temporary-log.js'

const names = [...allTopics, ...deadLetterTopics].map(({ name }) => name)

test('the list has every declared topic with its owner and what it is for', async () => {
  const { code, json } = await plateau(['topics', 'list', '--json'])
  const listed = json<{ name: string; owner: string; purpose: string }[]>()
  expect(code).toBe(0)
  expect(listed.map(({ name }) => name)).toEqual(names)
  for (const { owner, purpose } of listed) {
    expect(owner).not.toBe('')
    expect(purpose).toMatch(/^[A-Z].{20,}\.$/)
  }
})

test('the purpose is the one that the proto file states', async () => {
  const { out } = await plateau(['topics', 'list'])
  const proto = readFileSync(new URL('../../../../proto/plateau/stream/v1/draft.proto', import.meta.url), 'utf8')
  const purpose = 'Announces one published version of a draft.'
  expect(proto).toContain(`// ${purpose}`)
  expect(out).toMatch(new RegExp(`^${topics.draftCheckpoints.name}\\s.*${purpose}$`, 'm'))
})

test('an empty log lacks every topic; apply creates them; then nothing differs', async () => {
  const url = `embedded:${join(temporaryDirectory(), 'log')}`
  expect(await plateau(['topics', 'diff', '--event-log', url])).toMatchObject({ code: 1 })

  const applied = await plateau(['topics', 'apply', '--json', '--event-log', url])
  expect(applied.code).toBe(0)
  expect(applied.json<{ applied: TopicDifference[] }>().applied.map(({ topic, kind }) => [topic, kind])).toEqual(
    names.map((name) => [name, 'missing']),
  )
  expect(await plateau(['topics', 'diff', '--event-log', url])).toMatchObject({
    code: 0,
    out: 'every topic is as declared\n',
  })
})

test('a dry run creates nothing, not even the directory of the log', async () => {
  const url = `embedded:${join(temporaryDirectory(), 'log')}`
  const dry = await plateau(['topics', 'apply', '--dry-run', '--event-log', url])
  expect(dry).toMatchObject({ code: 1, err: expect.stringContaining('there is no event log in') })
  const { url: withTopics } = await temporaryLog()
  const again = await plateau(['topics', 'apply', '--dry-run', '--json', '--event-log', withTopics])
  expect(again).toMatchObject({ code: 0 })
  expect(again.json()).toEqual({ applied: [], wouldApply: [], left: [] })
})

test('what is incompatible is named and left; what is tunable is set', async () => {
  const directory = join(temporaryDirectory(), 'log')
  const log = openEmbeddedEventLog(directory)
  await log.ensureTopics([
    { ...allTopics.find(({ name }) => name === topics.rollouts.name)!, partitions: 3 },
    { ...allTopics.find(({ name }) => name === topics.acceptance.name)!, retentionMs: 1000 },
  ])
  await log.close()
  const url = `embedded:${directory}`

  const diff = await plateau(['topics', 'diff', '--event-log', url])
  expect(diff.code).toBe(1)
  expect(diff.out).toMatch(new RegExp(`^${topics.rollouts.name} +partitions +1 +3 +incompatible$`, 'm'))

  const applied = await plateau(['topics', 'apply', '--event-log', url])
  expect(applied.code).toBe(1)
  expect(applied.out).toContain('incompatible, left as they are:')

  const left = await plateau(['topics', 'diff', '--json', '--event-log', url])
  expect(left.json()).toEqual([
    { topic: topics.rollouts.name, setting: 'partitions', declared: '1', actual: '3', kind: 'incompatible' },
  ])
})
