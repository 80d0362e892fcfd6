import { expect, it } from 'vitest'
import { Admission } from './admission.js'

const never = new AbortController().signal

it('lets so many in, the rest wait in order, and one too many is refused', async () => {
  const admission = new Admission({ maxConcurrent: 1, maxWaiting: 2 })
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
  const admission = new Admission({ maxConcurrent: 1, maxWaiting: 1 })
  const leave = await admission.enter(never)
  const client = new AbortController()
  const waiting = admission.enter(client.signal)
  client.abort()
  await expect(waiting).rejects.toMatchObject({ code: 'CANCELLED' })
  leave()
  expect([admission.running, admission.waiting]).toEqual([0, 0])
})
