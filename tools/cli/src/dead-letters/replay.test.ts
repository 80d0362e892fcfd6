import { deadLetterTopics, PlateauError } from '@plateau/contracts'
import { deadLetterRecord, type EventLog } from '@plateau/event-log'
import { expect, test } from 'vitest'
import { readAll, temporaryLog } from '../testing/temporary-log.js'
import { tokenRecord } from '../testing/windows.js'
import { oneDeadLetterTopic } from './dead-letter-topics.js'
import { replay } from './replay.js'

const topic = oneDeadLetterTopic(deadLetterTopics[0]!.name, undefined)
const KEYS = Array.from({ length: 50 }, (_, i) => `sample-${i}`)

/** The log, until it has taken `sends` records; then it is away. */
function goingAway(log: EventLog, sends: number): EventLog {
  let left = sends
  const producer: EventLog['producer'] = (options) => {
    const real = log.producer(options)
    return Object.assign(Object.create(real) as typeof real, {
      close: () => real.close(),
      send: async (...args: Parameters<typeof real.send>) => {
        if (left-- <= 0) throw new PlateauError('LOG_UNAVAILABLE', 'the log is away', { retryable: true })
        return real.send(...args)
      },
    })
  }
  return Object.assign(Object.create(log) as EventLog, {
    producer,
    reader: log.reader.bind(log),
    committed: log.committed.bind(log),
    commit: log.commit.bind(log),
  })
}

test('when the log goes away in the middle, the next replay goes on from there: every letter is sent', async () => {
  const { log } = await temporaryLog()
  const letters = KEYS.map((key, offset) => {
    const record = { ...tokenRecord(key), topic: topic.source.name, partition: 0, offset, timestampMs: 0 }
    return deadLetterRecord(record, topic.group, 'why', 0)
  })
  await log.producer().send(topic.name, letters)
  const held = await log.offsets(topic.name)
  const options = { isDryRun: false, again: false, now: Date.now, signal: new AbortController().signal }
  const all = { kind: 'all', errorClass: undefined } as const

  await expect(replay(goingAway(log, 20), topic, held, all, options)).rejects.toThrow('the log is away')
  const sentAtFirst = (await readAll(log, topic.source.name)).map(({ key }) => key)
  expect(sentAtFirst).toHaveLength(20)

  const { replayed } = await replay(log, topic, held, all, options)
  const sent = (await readAll(log, topic.source.name)).map(({ key }) => key)
  expect([...new Set(sent)].toSorted()).toEqual(KEYS.toSorted())
  // What the first run had marked is not sent again.
  expect(sent).toHaveLength(20 + replayed)
  expect(replayed).toBeLessThan(KEYS.length)
})
