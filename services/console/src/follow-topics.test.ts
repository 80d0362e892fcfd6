import { PlateauError } from '@plateau/contracts'
import type { Batch, EventLog, LogRecord, Reader, ReaderOptions } from '@plateau/event-log'
import { silentLogger } from '@plateau/telemetry'
import { expect, it, onTestFinished } from 'vitest'
import { TopicFollower } from './follow-topics.js'

const record = (offset: number): LogRecord => ({
  topic: 't',
  partition: 0,
  offset,
  key: '',
  value: null,
  headers: {},
  timestampMs: 0,
})
const away = new PlateauError('LOG_UNAVAILABLE', 'the log is away', { retryable: true })

/** A log whose readers hand over what they are told to, and then fail or wait. */
function scriptedLog(script: readonly { readonly offsets: readonly number[]; readonly fails?: Error }[]) {
  const from: ReaderOptions['from'][] = []
  const reader = (options: ReaderOptions): Reader => {
    const turn = script[from.length]!
    from.push(options.from)
    const closed = Promise.withResolvers<void>()
    const caughtUp = turn.fails === undefined ? Promise.resolve() : Promise.reject(turn.fails)
    caughtUp.catch(() => {})
    return {
      caughtUp,
      close: async () => closed.resolve(),
      async *[Symbol.asyncIterator](): AsyncIterator<Batch> {
        const records = turn.offsets.map(record)
        if (records.length > 0) yield { topic: 't', partition: 0, records, highWatermark: 99 }
        if (turn.fails !== undefined) throw turn.fails
        await closed.promise
      },
    }
  }
  return { log: { reader } as unknown as EventLog, from }
}

function follow(log: EventLog) {
  const offsets: number[] = []
  const statuses: string[] = []
  const follower = new TopicFollower({
    log,
    topics: [{ name: 't' }],
    onRecord: ({ offset }) => void offsets.push(offset),
    onStatus: () => void statuses.push(follower.problems()[0]?.what ?? 'good'),
    logger: silentLogger,
    clock: () => 7,
    retryMs: 1,
  })
  const running = follower.run()
  onTestFinished(async () => {
    await follower.close()
    await running
  })
  return { follower, offsets, statuses, running }
}

it('a log that comes back is read on from where it was, and what it stood at is told', async () => {
  const { log, from } = scriptedLog([{ offsets: [3, 4], fails: away }, { offsets: [], fails: away }, { offsets: [5] }])
  const { follower, offsets, statuses } = follow(log)
  await expect.poll(() => follower.problems()).toEqual([])
  await expect.poll(() => offsets).toEqual([3, 4, 5])
  expect(from).toEqual(['earliest', [{ partition: 0, offset: 5 }], [{ partition: 0, offset: 5 }]])
  expect(statuses.slice(-2)).toEqual(['away', 'good'])
})

it('a topic that is not there is something else than a log that is away', async () => {
  const missing = new PlateauError('UNKNOWN_TOPIC', 'no such topic')
  const { log } = scriptedLog(Array.from({ length: 10_000 }, () => ({ offsets: [], fails: missing })))
  const { follower } = follow(log)
  await expect.poll(() => follower.problems()).toEqual([{ topic: 't', what: 'missing', sinceMs: 7 }])
})

it('closing ends it, also while it waits for the log', async () => {
  const { log } = scriptedLog([
    { offsets: [], fails: away },
    ...Array.from({ length: 10_000 }, () => ({ offsets: [] })),
  ])
  const { follower, running } = follow(log)
  await follower.close()
  await expect(running).resolves.toBeUndefined()
})
