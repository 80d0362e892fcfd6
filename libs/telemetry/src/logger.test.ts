import { expect, it } from 'vitest'
import { createLogger } from './logger.js'
import { processIdentity } from './process-identity.js'

function record(): { lines: Record<string, unknown>[]; destination: { write(text: string): void } } {
  const lines: Record<string, unknown>[] = []
  return { lines, destination: { write: (text) => void lines.push(JSON.parse(text) as Record<string, unknown>) } }
}

it('a line is a message with fields, the service and the level by name', () => {
  const { lines, destination } = record()
  const logger = createLogger({ identity: processIdentity('serving'), destination })
  logger.child({ lineage: 'default' }).info('draft swapped', { version: 3 })
  logger.debug('not shown')
  expect(lines).toHaveLength(1)
  expect(lines[0]).toMatchObject({
    level: 'info',
    'service.name': 'serving',
    'service.version': expect.stringMatching(/^\d+\.\d+\.\d+$/),
    'service.instance.id': expect.stringContaining(`/${process.pid}`),
    message: 'draft swapped',
    lineage: 'default',
    version: 3,
  })
})

it('prompt text, keys and secrets are redacted', () => {
  const { lines, destination } = record()
  createLogger({ identity: processIdentity('s'), destination }).info('request', {
    prompt: 'my secret',
    request: { text: 'my secret' },
  })
  expect(JSON.stringify(lines)).not.toContain('my secret')
})

it('an error shows its code, facts and causes', () => {
  const { lines, destination } = record()
  const cause = new Error('disk full')
  const error = Object.assign(new Error('cannot append', { cause }), { code: 'LOG_UNAVAILABLE', facts: { topic: 't' } })
  createLogger({ identity: processIdentity('s'), destination }).error('append failed', { error })
  expect(lines[0]).toMatchObject({
    'error.type': 'LOG_UNAVAILABLE',
    'exception.type': 'Error',
    'exception.message': 'cannot append',
    'exception.stacktrace': expect.stringContaining('logger.test'),
    error: { code: 'LOG_UNAVAILABLE', facts: { topic: 't' }, cause: { message: 'disk full' } },
  })
})
