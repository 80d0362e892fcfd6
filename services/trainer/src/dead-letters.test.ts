import { PlateauError } from '@plateau/contracts'
import type { NewRecord, Producer } from '@plateau/event-log'
import { MetricRegistry, silentLogger } from '@plateau/telemetry'
import { expect, test } from 'vitest'
import { bury } from './dead-letters.js'
import { declareTrainerMetrics } from './metrics.js'

const record = { topic: 't', partition: 0, offset: 7, key: 'k', value: null, headers: {}, timestampMs: 0 }
const poison = [{ record, error: new PlateauError('UNDECODABLE', 'not a window') }]

function partsWith(send: (records: readonly NewRecord[]) => Promise<void>) {
  const producer = { send: (_: string, records: readonly NewRecord[]) => send(records) } as unknown as Producer
  return { producer, logger: silentLogger, metrics: declareTrainerMetrics(new MetricRegistry()), clock: () => 0 }
}

test('dead letters are tried until the log has them', async () => {
  const written: NewRecord[] = []
  let tries = 0
  const parts = partsWith(async (records) => {
    if (++tries === 1) throw new PlateauError('LOG_UNAVAILABLE', 'away', { retryable: true })
    written.push(...records)
  })
  await bury(poison, parts, new AbortController().signal)
  expect(written.map(({ headers }) => headers['x-dlq-error-class'])).toEqual(['UNDECODABLE'])
  expect(parts.metrics.deadLettered.value({ reason: 'UNDECODABLE' })).toBe(1)
})

test('a log that does not answer holds up no stop', async () => {
  const stop = new AbortController()
  const parts = partsWith(() => new Promise(() => {}))
  const burying = bury(poison, parts, stop.signal)
  stop.abort()
  await expect(burying).rejects.toMatchObject({ name: 'AbortError' })
  expect(parts.metrics.deadLettered.value({ reason: 'UNDECODABLE' })).toBe(0)
})
