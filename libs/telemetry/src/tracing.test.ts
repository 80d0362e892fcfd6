import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, it, onTestFinished } from 'vitest'
import { currentTraceparent, inSpan, processIdentity, startSpan, startTracing } from './index.js'

const remote = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`

it('the sampler decides where nobody has; a collector that takes nothing fails nothing, and is said', async () => {
  const collector = createServer((_, response) => response.writeHead(400).end())
  await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void collector.close())
  const endpoint = `http://127.0.0.1:${(collector.address() as AddressInfo).port}/`
  const errors: unknown[] = []
  const tracing = await startTracing({
    identity: processIdentity('test'),
    endpoint,
    sampler: 'parentbased_traceidratio',
    share: 0,
    onError: (error) => void errors.push(error),
  })
  expect(startSpan('publish version', {}).traceparent).toMatch(/-00$/)
  await inSpan('publish version', { parent: remote }, async () =>
    expect(currentTraceparent()).toMatch(/^00-a{32}-[0-9a-f]{16}-01$/),
  )
  await tracing.stop()
  expect(errors).toHaveLength(1)
})
