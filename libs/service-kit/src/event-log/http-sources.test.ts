import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { latestSchemaIds } from './schema-registry.js'
import { tokensFromEndpoint } from './token-source.js'

interface Answer {
  readonly status: number
  readonly body: unknown
}

async function serve(answer: (request: IncomingMessage) => Answer): Promise<string> {
  const server = createServer((request, response) => {
    const { status, body } = answer(request)
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    response.writeHead(status, { 'content-type': 'application/json' }).end(text)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

test("the registry's newest schema of each topic is looked up by its subject", async () => {
  const ids: Record<string, number> = { 'public.one.v1-value': 7, 'public.two.v1-value': 9 }
  const registry = await serve(({ url }) => {
    const subject = /^\/registry\/subjects\/([^/]+)\/versions\/latest$/.exec(url ?? '')?.[1] ?? ''
    return { status: 200, body: { subject, id: ids[subject] } }
  })
  const found = await latestSchemaIds(`${registry}/registry/`, ['public.one.v1', 'public.two.v1'])
  expect([...found]).toEqual([
    ['public.one.v1', 7],
    ['public.two.v1', 9],
  ])
})

test('a schema that is not registered, a broken registry and one that is away are told apart by name', async () => {
  const missing = await serve(() => ({ status: 404, body: { error_code: 40401 } }))
  await expect(latestSchemaIds(missing, ['public.one.v1'])).rejects.toMatchObject({
    code: 'SCHEMA_NOT_REGISTERED',
    message: expect.stringContaining('public.one.v1-value') as string,
  })
  const broken = await serve(() => ({ status: 500, body: {} }))
  await expect(latestSchemaIds(broken, ['public.one.v1'])).rejects.toThrow(/answered 500/)
  const odd = await serve(() => ({ status: 200, body: { id: 'seven' } }))
  await expect(latestSchemaIds(odd, ['public.one.v1'])).rejects.toThrow(/without an id/)
  const login = await serve(() => ({ status: 200, body: '<html>' }))
  await expect(latestSchemaIds(login, ['public.one.v1'])).rejects.toMatchObject({ code: 'SCHEMA_REGISTRY_UNAVAILABLE' })
  await expect(latestSchemaIds('http://127.0.0.1:1', ['public.one.v1'])).rejects.toMatchObject({
    code: 'SCHEMA_REGISTRY_UNAVAILABLE',
  })
})

test("a client's token is used until shortly before its end", async () => {
  let asked = 0
  let authorization = ''
  const endpoint = await serve(({ headers }) => {
    asked++
    authorization = headers.authorization ?? ''
    return { status: 200, body: { access_token: `token-${asked}`, expires_in: 100 } }
  })
  let nowMs = 0
  const token = tokensFromEndpoint(endpoint, { id: 'scorer', secret: 'a:b' }, () => nowMs)
  expect(await token()).toBe('token-1')
  expect(authorization).toBe(`Basic ${Buffer.from('scorer:a%3Ab').toString('base64')}`)
  nowMs = 69_000
  expect(await token()).toBe('token-1')
  nowMs = 71_000
  expect(await token()).toBe('token-2')
})

test('a refused client is named, its secret is not', async () => {
  const endpoint = await serve(() => ({ status: 401, body: { error: 'invalid_client' } }))
  const failure = await tokensFromEndpoint(endpoint, { id: 'scorer', secret: 'hush' }, Date.now)().catch(
    (error: unknown) => error,
  )
  expect(failure).toMatchObject({ code: 'TOKEN_REFUSED', message: expect.stringContaining('scorer') as string })
  expect(String((failure as Error).stack)).not.toContain('hush')
})

test('what is not JSON is a refusal that does not quote it: it may be a bare token', async () => {
  for (const body of ['eyJhbGciOi.bare.token', '"eyJhbGciOi.bare.token"', 'null']) {
    const endpoint = await serve(() => ({ status: 200, body }))
    const failure = await tokensFromEndpoint(endpoint, { id: 'scorer', secret: 'hush' }, Date.now)().catch(
      (error: unknown) => error,
    )
    expect(failure).toMatchObject({ code: 'TOKEN_REFUSED' })
    expect(JSON.stringify([failure, (failure as Error).message, String((failure as Error).cause)])).not.toContain('eyJ')
  }
})
