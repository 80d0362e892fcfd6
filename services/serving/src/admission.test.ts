import { expect, it } from 'vitest'
import { Admission, type AdmissionOptions } from './admission.js'

const never = new AbortController().signal
const HOUR_MS = 3_600_000
const admissionOf = (options: Partial<AdmissionOptions>) =>
  new Admission({ maxConcurrent: 1, maxWaiting: 1, maxQueueMs: HOUR_MS, nowMs: () => 0, ...options })

it('lets so many in, the rest wait in order, and one too many is refused', async () => {
  const admission = admissionOf({ maxWaiting: 2 })
  const order: string[] = []
  const leaveFirst = await admission.enter(never)
  const second = admission.enter(never).then((leave) => (order.push('second'), leave))
  const third = admission.enter(never).then((leave) => (order.push('third'), leave))
  await expect(admission.enter(never)).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED', retryable: true })
  expect([admission.running, admission.waiting]).toEqual([1, 2])
  leaveFirst()
  leaveFirst() // a second call gives nothing back twice
  const leaveSecond = await second
  expect(order).toEqual(['second'])
  leaveSecond()
  const leaveThird = await third
  leaveThird()
  expect([admission.running, admission.waiting]).toEqual([0, 0])
})

it('a client that goes away while waiting gives up its place', async () => {
  const admission = admissionOf({})
  const leave = await admission.enter(never)
  const client = new AbortController()
  const waiting = admission.enter(client.signal)
  client.abort()
  await expect(waiting).rejects.toMatchObject({ code: 'CANCELLED' })
  leave()
  expect([admission.running, admission.waiting]).toEqual([0, 0])
})

it('who has waited for as long as one may is refused, and its place in the queue is free', async () => {
  const admission = admissionOf({ maxQueueMs: 1 })
  const leave = await admission.enter(never)
  await expect(admission.enter(never)).rejects.toMatchObject({
    code: 'RESOURCE_EXHAUSTED',
    facts: { limit: 'queue_wait' },
  })
  expect([admission.running, admission.waiting]).toEqual([1, 0])
  leave()
  expect(admission.running).toBe(0)
})

it('who is refused hears when its turn would come, by what responses took lately', async () => {
  let nowMs = 0
  const admission = admissionOf({ maxConcurrent: 2, maxWaiting: 1, nowMs: () => nowMs })
  const refusal = () => admission.enter(never).catch((error: { facts: object }) => error.facts)
  const first = await admission.enter(never)
  const second = await admission.enter(never)
  const third = admission.enter(never)
  expect(await refusal()).toEqual({ limit: 'queue_full', reason: 'rate_limit_exceeded', retryAfterSeconds: 1 })
  nowMs = 12_000
  first()
  const fourth = admission.enter(never)
  // One waits and this would be the second: two places, 12 s each.
  expect(await refusal()).toMatchObject({ retryAfterSeconds: 12 })
  second()
  for (const leave of [await third, await fourth]) leave()
  // Two that took no time count an eighth each.
  expect(admission.responseMs).toBeCloseTo(12_000 * (7 / 8) ** 2)
})
