import { expect, test } from 'vitest'
import { testBroker } from './shared.js'
import { describeWithKafka } from './testing.js'

describeWithKafka('the shared broker', () => {
  test('is the same one for all callers', async () => {
    const [one, another] = await Promise.all([testBroker(), testBroker()])
    expect(one.pid).toBeDefined()
    expect(another.pid).toBe(one.pid)
    expect(await another.isServing()).toBe(true)
  })
})
