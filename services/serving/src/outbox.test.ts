import { decodeHeaders, PlateauError, Rollout, RolloutState } from '@plateau/contracts'
import type { NewRecord, Producer } from '@plateau/event-log'
import { silentLogger } from '@plateau/telemetry'
import { expect, it } from 'vitest'
import { Outbox } from './outbox.js'
import { RolloutReporter, type RolloutDetails } from './rollouts/rollout-reporter.js'

const { ROLLOUT_STATE_ANNOUNCED, ROLLOUT_STATE_LIVE, ROLLOUT_STATE_REJECTED } = RolloutState

function setUp(maxWaiting?: number) {
  const tried: NewRecord[] = []
  const written: NewRecord[] = []
  const log: { failure: unknown; writesAnyway: boolean } = { failure: undefined, writesAnyway: false }
  const producer = {
    send: async (_: string, records: readonly NewRecord[]) => {
      tried.push(...records)
      if (log.failure === undefined || log.writesAnyway) written.push(...records)
      if (log.failure !== undefined) throw log.failure
      return []
    },
  } as unknown as Producer
  const errors: string[] = []
  const logger = { ...silentLogger, error: (message: string) => void errors.push(message) }
  const outbox = new Outbox({ producer, logger, ...(maxWaiting === undefined ? {} : { maxWaiting }) })
  const rollouts = new RolloutReporter({ server: 'here', outbox, clock: () => 5 })
  const reporter = {
    report: (version: number, state: RolloutState, reason: string, details?: RolloutDetails) =>
      rollouts.report('default', version, state, reason, details),
    close: (withinMs: number) => outbox.close(withinMs),
  }
  const states = (records: readonly NewRecord[]) => records.map(({ value }) => Rollout.decode(value!).state)
  const ids = (records: readonly NewRecord[]) => records.map(({ headers }) => decodeHeaders(headers)!.id)
  return { reporter, log, tried, written, errors, states, ids }
}

const away = new PlateauError('LOG_UNAVAILABLE', 'the log is away', { retryable: true })

it('what happened to a version is there in order, with the trace that did it', async () => {
  const { reporter, written, states } = setUp()
  const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`
  reporter.report(3, ROLLOUT_STATE_ANNOUNCED, 'checking', { traceparent })
  reporter.report(3, ROLLOUT_STATE_LIVE, 'live', { swapMs: 12.4 })
  await reporter.close(10_000)
  expect(states(written)).toEqual([ROLLOUT_STATE_ANNOUNCED, ROLLOUT_STATE_LIVE])
  expect(decodeHeaders(written[0]!.headers)).toMatchObject({ traceparent, subject: 'default' })
  expect(Rollout.decode(written[1]!.value!)).toMatchObject({ version: 3, server: 'here', atMs: 5, swapMs: 12 })
})

it('a record that the log may have taken is tried again as it was: the second copy is known by its id', async () => {
  const { reporter, log, tried, written, ids } = setUp()
  Object.assign(log, { failure: away, writesAnyway: true })
  reporter.report(3, ROLLOUT_STATE_ANNOUNCED, 'checking')
  reporter.report(3, ROLLOUT_STATE_LIVE, 'live')
  await expect.poll(() => tried.length).toBe(1)
  log.failure = undefined
  await reporter.close(10_000)
  expect(tried).toHaveLength(3)
  expect(tried[1]).toEqual(tried[0])
  expect(new Set(ids(written)).size).toBe(2)
})

it('while the log is away, so many wait and the oldest give way, which is said', async () => {
  const { reporter, log, tried, written, errors, states } = setUp(2)
  log.failure = away
  for (const state of [ROLLOUT_STATE_ANNOUNCED, ROLLOUT_STATE_REJECTED, ROLLOUT_STATE_LIVE]) {
    reporter.report(3, state, '')
  }
  await expect.poll(() => tried.length).toBe(1)
  log.failure = undefined
  await reporter.close(10_000)
  expect(errors).toEqual(['record not sent: too many wait for the log'])
  expect(states(written).slice(-2)).toEqual([ROLLOUT_STATE_REJECTED, ROLLOUT_STATE_LIVE])
})

it('what the log refuses for good is said and passed over; a shutdown waits only so long', async () => {
  const { reporter, log, tried, written, errors } = setUp()
  log.failure = new PlateauError('RECORD_TOO_LARGE', 'no')
  reporter.report(3, ROLLOUT_STATE_REJECTED, '')
  await expect.poll(() => errors.length).toBe(1)
  log.failure = away
  reporter.report(3, ROLLOUT_STATE_LIVE, '')
  await expect.poll(() => tried.length).toBe(2)
  await reporter.close(10)
  expect(errors).toEqual(['record refused by the log', 'records not sent'])
  expect(written).toEqual([])
})
