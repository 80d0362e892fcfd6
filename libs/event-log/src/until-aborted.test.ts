import { expect, test } from 'vitest'
import { untilAborted } from './until-aborted.js'

const never = new AbortController().signal

test('what ends in time has its own outcome', async () => {
  expect(await untilAborted(Promise.resolve(1), never)).toBe(1)
  await expect(untilAborted(Promise.reject(new Error('own')), never)).rejects.toThrow('own')
})

test('what hangs is left when the signal says so, before or after, and may still fail unheard', async () => {
  const stop = new AbortController()
  const late = Promise.withResolvers<void>()
  const waiting = untilAborted(late.promise, stop.signal)
  stop.abort(new Error('enough'))
  await expect(waiting).rejects.toThrow('enough')
  await expect(untilAborted(late.promise, stop.signal)).rejects.toThrow('enough')
  late.reject(new Error('late'))
})
