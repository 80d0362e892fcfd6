/** For test files only: this entry imports vitest. */
import { describe, expect, test } from 'vitest'
import { kafkaUnavailable } from './jars.js'

/**
 * A suite that needs a real broker. Where none can be had it is skipped, with one loud line; where CI is set, that is a
 * failure.
 */
export function describeWithKafka(name: string, body: () => void): void {
  const reason = kafkaUnavailable()
  const inCi = Boolean(process.env['CI'])
  if (reason !== undefined && !inCi) process.stderr.write(`\n!!! SKIPPED without Kafka: "${name}" (${reason})\n`)
  const suite = reason === undefined || inCi ? describe : describe.skip
  suite(name, reason !== undefined && inCi ? () => refuse(reason) : body)
}

function refuse(reason: string): void {
  test('has a broker', () => expect.fail(`CI must run these tests, but no broker can be had: ${reason}`))
}
