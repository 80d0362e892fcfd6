import { PlateauError } from '@plateau/contracts'
import { silentLogger } from '@plateau/telemetry'
import { describe, expect, it } from 'vitest'
import { patiently } from './patiently.js'

const unavailable = new PlateauError('LOG_UNAVAILABLE', 'try again', { retryable: true })

/** Something whose first tries fail with the given errors. */
function failing(...errors: unknown[]) {
  let tries = 0
  const action = async (): Promise<number> => {
    tries++
    if (errors.length > 0) throw errors.shift()
    return tries
  }
  return { action, tries: () => tries }
}

describe('asking the log for something', () => {
  const never = new AbortController().signal

  it('waits while it is unavailable, and says so', async () => {
    const { action } = failing(unavailable, unavailable)
    let waits = 0
    const options = { logger: silentLogger, signal: never, giveUp: never, onWait: () => waits++ }
    expect(await patiently('publish', action, options)).toBe(3)
    expect(waits).toBe(2)
  })

  it('does not repeat what cannot help', async () => {
    const tooLarge = new PlateauError('RECORD_TOO_LARGE', 'no')
    const { action, tries } = failing(tooLarge)
    await expect(patiently('publish', action, { logger: silentLogger, signal: never, giveUp: never })).rejects.toBe(
      tooLarge,
    )
    expect(tries()).toBe(1)
  })

  it('gives up when it is told to stop, with the log’s own error', async () => {
    const stop = new AbortController()
    const { action, tries } = failing(unavailable, unavailable)
    const options = { logger: silentLogger, signal: stop.signal, giveUp: never, onWait: () => stop.abort() }
    await expect(patiently('publish', action, options)).rejects.toBe(unavailable)
    expect(tries()).toBe(1)
  })
})
