import { expect, it } from 'vitest'
import { currentTraceparent, startTracing, withRemoteParent, withSpan } from './tracing.js'

it('without a collector nothing is started and there is no traceparent', async () => {
  const tracing = await startTracing({ service: 'test', endpoint: undefined, onError: () => {} })
  await withSpan('work', {}, async () => expect(currentTraceparent()).toBeUndefined())
  await tracing.stop()
})

it('spans continue a remote trace, errors pass through, and a collector that is down fails nothing', async () => {
  const tracing = await startTracing({ service: 'test', endpoint: 'http://127.0.0.1:9', onError: () => {} })
  const remote = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`
  await withRemoteParent(remote, () =>
    withSpan('work', { size: 1 }, async () => expect(currentTraceparent()).toMatch(/^00-a{32}-[0-9a-f]{16}-01$/)),
  )
  await expect(withSpan('work', {}, () => Promise.reject(new Error('boom')))).rejects.toThrow('boom')
  await tracing.stop()
})
