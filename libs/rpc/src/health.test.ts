import { describe, expect, it } from 'vitest'
import { checkHealth, watchHealth } from './testing-standard.js'
import { serve } from './testing.js'

const SERVICE = 'plateau.target.v1.TargetService'

describe('grpc.health.v1', () => {
  it('says of the server and of each of its services whether it is ready, and knows no other', async () => {
    let isReady = false
    const { server } = await serve({}, { isReady: () => isReady })
    for (const name of ['', SERVICE]) expect(await checkHealth(server.address, name)).toBe('NOT_SERVING')
    isReady = true
    for (const name of ['', SERVICE]) expect(await checkHealth(server.address, name)).toBe('SERVING')
    await expect(checkHealth(server.address, 'unheard.of')).rejects.toMatchObject({ code: 5 })
  })

  it('a name of any length is an answerable question', async () => {
    const { server } = await serve({})
    await expect(checkHealth(server.address, 'a'.repeat(300))).rejects.toMatchObject({ code: 5 })
  })

  it('tells who watches every change, each once, and ends with the server', async () => {
    let isReady = true
    const { server } = await serve({}, { isReady: () => isReady })
    const seen: unknown[] = []
    for await (const state of watchHealth(server.address, SERVICE)) {
      seen.push(state)
      if (seen.length === 3) void server.drain(1000)
      else isReady = !isReady
    }
    expect(seen).toEqual(['SERVING', 'NOT_SERVING', 'SERVING', 'NOT_SERVING'])
  })

  it('who watches a service that is not there hears so and may go on watching', async () => {
    const { server } = await serve({})
    const seen: unknown[] = []
    for await (const state of watchHealth(server.address, 'unheard.of')) {
      seen.push(state)
      server.health.refresh()
      void server.drain(1000)
    }
    expect(seen).toEqual(['SERVICE_UNKNOWN'])
  })

  it('a watcher that has left is forgotten: nothing looks at readiness for it any more', async () => {
    let looks = 0
    const { server } = await serve({}, { isReady: () => ++looks > 0 })
    for await (const state of watchHealth(server.address, '')) {
      expect(state).toBe('SERVING')
      break
    }
    // It looks five times a second while anybody watches.
    for (let before = -1; before !== looks; await new Promise((resolve) => setTimeout(resolve, 500))) before = looks
    expect(looks).toBeGreaterThan(0)
  })
})
