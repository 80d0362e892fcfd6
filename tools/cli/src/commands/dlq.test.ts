import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { deadLetterTopic, groups, PlateauError, TokenWindow, topics, type TopicSpec } from '@plateau/contracts'
import { deadLetterRecord, type EventLog, type LogRecord, type NewRecord } from '@plateau/event-log'
import { expect, test } from 'vitest'
import { plateau } from '../testing/run-command.js'
import { readAll, temporaryDirectory, temporaryLog } from '../testing/temporary-log.js'
import { tokenRecord, tokenWindow } from '../testing/windows.js'

const SOURCE = topics.tokenDistributions.name
const DEAD = deadLetterTopic(topics.tokenDistributions as unknown as TopicSpec, groups.scorer).name
const NOW = Date.parse('2026-03-01T12:00:00Z')

/** Sends records to the source topic and then, as the scorer would, to its dead letters, with a code for each. */
async function killAll(log: EventLog, records: readonly (readonly [NewRecord, string])[]): Promise<LogRecord[]> {
  const producer = log.producer()
  for (const [record, code] of records) {
    const [at] = await producer.send(SOURCE, [record])
    const logged: LogRecord = { ...record, ...at!, topic: SOURCE, timestampMs: NOW - 90_000 }
    const error = new PlateauError(code, `${code} in a sentence`)
    await producer.send(DEAD, [deadLetterRecord(logged, groups.scorer, error, NOW - 60_000)])
  }
  return readAll(log, DEAD)
}

/** What arrived at the source topic through a replay. */
async function replayed(log: EventLog): Promise<LogRecord[]> {
  return (await readAll(log, SOURCE)).filter(({ headers }) => headers['x-dlq-replayed-at'] !== undefined)
}

const keys = (records: readonly LogRecord[]) => records.map(({ key }) => key).toSorted()
const replay = (url: string, ...args: string[]) =>
  plateau(['dlq', 'replay', '--topic', SOURCE, '--event-log', url, ...args], { now: () => NOW })

test('the list counts what is held and what waits, by class, with the newest age', async () => {
  const { log, url } = await temporaryLog()
  await killAll(log, [
    [tokenRecord('a'), 'UNDECODABLE'],
    [tokenRecord('b'), 'UNDECODABLE'],
    [tokenRecord('c'), 'TOKEN_OUT_OF_RANGE'],
  ])
  const { code, out } = await plateau(['dlq', 'list', '--event-log', url], { now: () => NOW })
  expect(code).toBe(0)
  expect(out).toMatch(
    new RegExp(`^${SOURCE} +${groups.scorer} +3 +3 +1 min ago +UNDECODABLE 2, TOKEN_OUT_OF_RANGE 1$`, 'm'),
  )
  await replay(url, '--all', '--class', 'UNDECODABLE')
  const { json } = await plateau(['dlq', 'list', '--topic', SOURCE, '--json', '--event-log', url])
  expect(json()).toMatchObject([{ topic: DEAD, held: 3, waiting: 1 }])
})

test('a letter is shown with its place of origin, its reason and its message, without what users wrote', async () => {
  const { log, url } = await temporaryLog()
  await killAll(log, [[tokenRecord('a', tokenWindow('a', [4242, 4243])), 'TOKEN_OUT_OF_RANGE']])
  const { out } = await plateau(['dlq', 'show', '--event-log', url], { now: () => NOW })
  expect(out).toContain('TOKEN_OUT_OF_RANGE: TOKEN_OUT_OF_RANGE in a sentence')
  expect(out).toMatch(new RegExp(`from +${SOURCE} \\d:0, written 2026-03-01T11:58:30.000Z`))
  expect(out).toContain('header   ce_id: window:a')
  expect(out).toContain('provenance.schemaVersion: 1')
  expect(out).toContain('sampleId: a')
  expect(out).toContain('tokenIds: 2 values')
  expect(out).toContain('features: 64 bytes')
  for (const id of ['4242', '4243', '31337']) expect(out).not.toContain(id)

  const inFull = await plateau(['dlq', 'show', '--payload', '--json', '--event-log', url])
  expect(inFull.json()).toMatchObject([{ value: { message: { tokenIds: [4242, 4243], leadTokenId: 31_337 } } }])
})

test('a value that is cut off shows how far it goes; one that is no message shows how it begins', async () => {
  const { log, url } = await temporaryLog()
  const whole = tokenRecord('cut')
  await killAll(log, [
    [{ ...whole, value: whole.value!.subarray(0, whole.value!.length - 3) }, 'UNDECODABLE'],
    [{ ...tokenRecord('json'), value: Buffer.from('{"hello": 1}') }, 'UNDECODABLE'],
    [{ ...tokenRecord('gone'), value: null }, 'VALUE_MISSING'],
  ])
  const { json } = await plateau(['dlq', 'show', '--json', '--event-log', url])
  const byKey = Object.fromEntries(json<{ key: string; value: object }[]>().map(({ key, value }) => [key, value]))
  expect(byKey['cut']).toMatchObject({ message: { sampleId: 'cut' }, why: expect.stringContaining('cut off') })
  expect(byKey['json']).toMatchObject({ head: Buffer.from('{"hello": 1}').toString('hex') })
  expect(byKey['gone']).toMatchObject({ isTombstone: true })
})

test('--limit takes the newest, --offset one, --raw its value as it is', async () => {
  const { log, url } = await temporaryLog()
  const dead = await killAll(log, [
    [tokenRecord('a'), 'X'],
    [tokenRecord('b'), 'X'],
  ])
  const limited = await plateau(['dlq', 'show', '--limit', '1', '--json', '--event-log', url])
  expect(limited.json<unknown[]>()).toHaveLength(1)

  const { partition, offset } = dead.find(({ key }) => key === 'b')!
  const file = join(temporaryDirectory(), 'value.bin')
  const at = ['--topic', SOURCE, '--offset', `${partition}:${offset}`]
  const one = await plateau(['dlq', 'show', ...at, '--raw', file, '--json', '--event-log', url])
  expect(one.json()).toMatchObject([{ key: 'b' }])
  expect(TokenWindow.decode(readFileSync(file)).sampleId).toBe('b')

  const none = await plateau(['dlq', 'show', '--topic', SOURCE, '--offset', '0:999', '--event-log', url])
  expect(none).toMatchObject({ code: 1, err: expect.stringContaining('holds no record at 0:999') })
})

test('a replay sends key, value and own headers back, with the attempts so far and the time', async () => {
  const { log, url } = await temporaryLog()
  const original = tokenRecord('a')
  await killAll(log, [[original, 'X']])
  expect(await replay(url, '--all')).toMatchObject({ code: 0, out: `1 sent back to ${SOURCE}: X 1\n` })
  const [record] = await replayed(log)
  expect(record).toMatchObject({ key: 'a', timestampMs: NOW })
  expect(Buffer.from(record!.value!)).toEqual(Buffer.from(original.value!))
  expect(record!.headers).toEqual({
    ...original.headers,
    'x-dlq-attempts': '1',
    'x-dlq-replayed-at': '2026-03-01T12:00:00.000Z',
  })
})

test('attempts are counted over replays: a replayed record that fails again has failed one more time', async () => {
  const { log, url } = await temporaryLog()
  const original = tokenRecord('a')
  const dead = deadLetterRecord({ ...original, topic: SOURCE, partition: 0, offset: 0, timestampMs: 1 }, 'g', 'why', 1)
  await log.producer().send(DEAD, [{ ...dead, headers: { ...dead.headers, 'x-dlq-attempts': '3' } }])
  await replay(url, '--all')
  const [record] = await replayed(log)
  expect(record!.headers['x-dlq-attempts']).toBe('3')
  expect(deadLetterRecord(record!, 'g', 'why', 1).headers['x-dlq-attempts']).toBe('4')
})

test('a second replay sends only what is new; --again sends all', async () => {
  const { log, url } = await temporaryLog()
  await killAll(log, [
    [tokenRecord('a'), 'X'],
    [tokenRecord('b'), 'X'],
  ])
  await replay(url, '--all')
  await replay(url, '--all')
  expect(keys(await replayed(log))).toEqual(['a', 'b'])
  await killAll(log, [[tokenRecord('c'), 'X']])
  await replay(url, '--all')
  expect(keys(await replayed(log))).toEqual(['a', 'b', 'c'])
  await replay(url, '--all', '--again')
  expect(await replayed(log)).toHaveLength(6)
})

test('one class at a time and then everything sends each letter once', async () => {
  const { log, url } = await temporaryLog()
  await killAll(log, [
    [tokenRecord('a'), 'X'],
    [tokenRecord('b'), 'Y'],
    [tokenRecord('c'), 'X'],
  ])
  await replay(url, '--all', '--class', 'X')
  expect(keys(await replayed(log))).toEqual(['a', 'c'])
  await replay(url, '--all', '--class', 'X')
  expect(keys(await replayed(log))).toEqual(['a', 'c'])
  const rest = await replay(url, '--all')
  expect(rest.out).toContain(`1 sent back to ${SOURCE}: Y 1`)
  expect(keys(await replayed(log))).toEqual(['a', 'b', 'c'])
})

test('one letter can be sent by its place', async () => {
  const { log, url } = await temporaryLog()
  const dead = await killAll(log, [
    [tokenRecord('a'), 'X'],
    [tokenRecord('a', tokenWindow('a', [1])), 'X'],
  ])
  const { partition, offset } = dead[1]!
  const at = ['--partition', String(partition), '--offset', String(offset)]
  expect(await replay(url, ...at)).toMatchObject({ code: 0 })
  expect(TokenWindow.decode((await replayed(log))[0]!.value!).tokenIds).toEqual([1])
  expect(await replayed(log)).toHaveLength(1)
  const none = await replay(url, '--partition', '0', '--offset', '999')
  expect(none).toMatchObject({ code: 1, err: expect.stringContaining('holds no record at 0:999') })
})

test('a dry run says what would be sent, sends nothing and remembers nothing', async () => {
  const { log, url } = await temporaryLog()
  await killAll(log, [[tokenRecord('a'), 'X']])
  expect(await replay(url, '--all', '--dry-run')).toMatchObject({
    code: 0,
    out: `1 would be sent back to ${SOURCE}: X 1\n`,
  })
  expect(await replayed(log)).toEqual([])
  await replay(url, '--all')
  expect(await replayed(log)).toHaveLength(1)
})

test('a letter from somewhere else is named and left; the others are sent', async () => {
  const { log, url } = await temporaryLog()
  await log.producer().send(DEAD, [{ ...tokenRecord('stray'), headers: {} }])
  await killAll(log, [[tokenRecord('a'), 'X']])
  const outcome = await replay(url, '--all')
  expect(outcome.code).toBe(1)
  expect(outcome.out).toMatch(/not sent: \d:0: x-dlq-original-topic does not say, expected internal/)
  expect(keys(await replayed(log))).toEqual(['a'])
})

test('a replay must be told which letters', async () => {
  const { url } = await temporaryLog()
  for (const args of [[], ['--partition', '1'], ['--class', 'X'], ['--all', '--partition', '1', '--offset', '1']]) {
    expect(await replay(url, ...args)).toMatchObject({ code: 2 })
  }
  expect(await plateau(['dlq', 'replay', '--all'])).toMatchObject({
    code: 2,
    err: expect.stringContaining('--topic T is missing'),
  })
  const unknown = await plateau(['dlq', 'list', '--topic', 'nonsense', '--event-log', url])
  expect(unknown).toMatchObject({ code: 2, err: expect.stringContaining('neither a topic of ours') })
})
