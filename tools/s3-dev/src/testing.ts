/** For test files only: this entry imports vitest. */
import { describe, expect, test } from 'vitest'
import { s3Unavailable } from './program.js'

/** A suite that needs a real S3 server. Where none can be had it is skipped, with one loud line; in CI that is a failure. */
export function describeWithS3(name: string, body: () => void): void {
  const reason = s3Unavailable()
  const inCi = Boolean(process.env['CI'])
  if (reason !== undefined && !inCi) process.stderr.write(`\n!!! SKIPPED without S3: "${name}" (${reason})\n`)
  const suite = reason === undefined || inCi ? describe : describe.skip
  suite(name, reason !== undefined && inCi ? () => refuse(reason) : body)
}

function refuse(reason: string): void {
  test('has a server', () => expect.fail(`CI must run these tests, but no S3 server can be had: ${reason}`))
}
