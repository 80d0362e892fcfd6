import { PlateauError, topics } from '@plateau/contracts'
import type { NewRecord, Producer } from '@plateau/event-log'
import { silentLogger } from '@plateau/telemetry'
import { describe, expect, it } from 'vitest'
import { sendPatiently } from './send-patiently.js'
import { recordOf, windowOf } from './testing.js'

const records = [recordOf(windowOf('a'))]
const unavailable = new PlateauError('LOG_UNAVAILABLE', 'try again', { retryable: true })

/** A producer whose first sends fail with the given errors. */
function failing(...errors: unknown[]) {
  const sent: (readonly NewRecord[])[] = []
  const producer: Producer = {
    send: async (_topic, batch) => {
      if (errors.length > 0) throw errors.shift()
      sent.push(batch)
      return batch.map((_, offset) => ({ partition: 0, offset }))
    },
    bytesInFlight: 0,
    flush: async () => {},
    close: async () => {},
  }
  return { producer, sent }
}

describe('sending', () => {
  const topic = topics.scoredTokens.name
  const never = new AbortController().signal

  it('waits for a log that is unavailable, and says so', async () => {
    const { producer, sent } = failing(unavailable, unavailable)
    let waits = 0
    await sendPatiently(producer, topic, records, { logger: silentLogger, signal: never, onWait: () => waits++ })
    expect([sent, waits]).toEqual([[records], 2])
  })

  it('does not repeat what cannot help', async () => {
    const tooLarge = new PlateauError('RECORD_TOO_LARGE', 'no')
    const { producer, sent } = failing(tooLarge)
    const sending = sendPatiently(producer, topic, records, { logger: silentLogger, signal: never })
    await expect(sending).rejects.toBe(tooLarge)
    expect(sent).toEqual([])
  })

  it('gives up when it is told to stop, with the log’s own error', async () => {
    const stop = new AbortController()
    const { producer, sent } = failing(unavailable, unavailable)
    const options = { logger: silentLogger, signal: stop.signal, onWait: () => stop.abort() }
    await expect(sendPatiently(producer, topic, records, options)).rejects.toBe(unavailable)
    expect(sent).toEqual([])
  })
})
