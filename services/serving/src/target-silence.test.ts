import { expect, it } from 'vitest'
import { withinStall, withoutStalls } from './target-silence.js'

const HOUR_MS = 3_600_000
const never = new Promise<never>(() => {})

it('an answer that comes is passed on, a failure too', async () => {
  expect(await withinStall(Promise.resolve(5), HOUR_MS)).toBe(5)
  await expect(withinStall(Promise.reject(new Error('no')), HOUR_MS)).rejects.toThrow('no')
})

it('an answer that does not come is a target that is away', async () => {
  await expect(withinStall(never, 1)).rejects.toMatchObject({ code: 'UNAVAILABLE', retryable: true })
})

it('messages that stop end the call, those before them are passed on', async () => {
  const call = new AbortController()
  async function* messages(): AsyncGenerator<number, void> {
    yield 1
    await never
  }
  const found: number[] = []
  const read = async (): Promise<void> => {
    for await (const message of withoutStalls(messages(), 1, call)) found.push(message)
  }
  await expect(read()).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  expect([found, call.signal.aborted]).toEqual([[1], true])
})

it('leaving the loop ends the call', async () => {
  const call = new AbortController()
  async function* messages(): AsyncGenerator<number, void> {
    for (;;) yield 1
  }
  for await (const _ of withoutStalls(messages(), HOUR_MS, call)) break
  expect(call.signal.aborted).toBe(true)
})
