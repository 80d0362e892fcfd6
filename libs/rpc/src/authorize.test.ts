import { PlateauError, readDescriptorSet } from '@plateau/contracts'
import { describe, expect, it } from 'vitest'
import type { Authorize } from './authorize.js'
import { callServerStream, callUnary } from './client.js'
import { checkHealth, reflectionClient } from './testing-standard.js'
import { generateRequest, scoreRequest, serve, token } from './testing.js'

const needsKey: Authorize = (path, metadata) => {
  const key = metadata.get('authorization')
  if (key === undefined) throw new PlateauError('UNAUTHENTICATED', `${path} needs a key`, { facts: { path } })
  if (key !== 'Bearer good') throw new PlateauError('PERMISSION_DENIED', 'this key has no right to it')
}

describe('a server that asks who calls', () => {
  const path = '/plateau.target.v1.TargetService/Score'

  it('answers as the check throws, and the handler never hears of the call', async () => {
    let handled = 0
    const { client } = await serve(
      {
        score: async () => ({ window: void handled++ }),
        async *generate() {
          yield token(handled++)
        },
      },
      { authorize: needsKey },
    )
    const call = (authorization?: string) =>
      callUnary(client.score.bind(client), scoreRequest, authorization ? { metadata: { authorization } } : {})
    await expect(call()).rejects.toMatchObject({ code: 'UNAUTHENTICATED', facts: { path } })
    await expect(call('Bearer bad')).rejects.toMatchObject({ code: 'PERMISSION_DENIED' })
    const stream = callServerStream((...args) => client.generate(...args), generateRequest)
    await expect(stream.next()).rejects.toMatchObject({ code: 'UNAUTHENTICATED' })
    expect(handled).toBe(0)
    await expect(call('Bearer good')).resolves.toEqual({ window: undefined })
    expect(handled).toBe(1)
  })

  it('lets everyone ask for its health and what it serves', async () => {
    const { server } = await serve({}, { authorize: needsKey, reflection: await readDescriptorSet() })
    expect(await checkHealth(server.address, '')).toBe('SERVING')
    const { services } = await reflectionClient(server.address, 'v1')
    expect(await services()).toContain('plateau.target.v1.TargetService')
  })

  it('refuses everyone, and reports it, when the check itself is broken', async () => {
    const { client, reported } = await serve(
      { score: async () => ({ window: undefined }) },
      {
        authorize: () => {
          throw new TypeError('secret of the check')
        },
      },
    )
    const error = await callUnary(client.score.bind(client), scoreRequest).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'INTERNAL' })
    expect(String(error)).not.toContain('secret')
    expect(reported).toMatchObject([{ message: 'secret of the check' }])
  })
})
