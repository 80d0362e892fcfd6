/** OpenAI's own client for Python against the real service. */
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { describeWithPrograms, run } from './consumer-tools.js'
import { KEY, pythonWithClient, RARE_KEY, startServiceWithKeys, type Service } from './openai-clients.js'

// Making the environment downloads the client, once.
const SLOW_MS = 600_000
const script = fileURLToPath(new URL('openai-clients-python.py', import.meta.url))

describeWithPrograms(['python3'], 'OpenAI’s client for Python', () => {
  let service: Service
  let python: string
  beforeAll(async () => {
    python = await pythonWithClient()
    service = await startServiceWithKeys()
  }, SLOW_MS)
  afterAll(() => service?.close())

  test('chats, completes, counts, and raises its own errors', async () => {
    const finished = await run(python, [script, service.url, KEY, RARE_KEY])
    expect(finished).toMatchObject({ status: 0, stdout: 'ok\n', stderr: '' })
  })
})
