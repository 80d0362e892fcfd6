import { expect, it } from 'vitest'
import { currentTraceparent, inSpan, processIdentity, startSpan, startTracing } from './index.js'

const remote = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`
/** Nobody listens on it. */
const endpoint = 'http://127.0.0.1:9'

it('the sampler decides where nobody has; a collector that is down fails nothing', async () => {
  const identity = processIdentity('test')
  const options = { identity, endpoint, sampler: 'parentbased_traceidratio', share: 0, onError: () => {} } as const
  const tracing = await startTracing(options)
  expect(startSpan('publish version', {}).traceparent).toMatch(/-00$/)
  await inSpan('publish version', { parent: remote }, async () =>
    expect(currentTraceparent()).toMatch(/^00-a{32}-[0-9a-f]{16}-01$/),
  )
  await tracing.stop()
})
