import { serving, target } from '@plateau/contracts'
import { callServerStream, callUnary, createClient } from '@plateau/rpc'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { startServingFixture, until, type ServingFixture } from '../testing/serving-fixture.js'
import { digestOf } from './api-keys.js'

const KEYS = [
  { name: 'app', key: 'pl_app', tenant: 'acme', capture: true },
  { name: 'private', key: 'pl_private', tenant: 'acme' },
  { name: 'small', key: 'pl_small', tenant: 'small', requestsPerMinute: 2, tokensPerMinute: 1000, maxConcurrent: 2 },
]

let folder: string
let fixture: ServingFixture | undefined
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'doors-'))
  await writeKeys(KEYS)
})
afterEach(async () => {
  await fixture?.close()
  fixture = undefined
  await rm(folder, { recursive: true })
})

function writeKeys(keys: readonly { key: string }[]): Promise<void> {
  const entries = keys.map(({ key, ...rest }) => ({ ...rest, sha256: digestOf(key) }))
  return writeFile(join(folder, 'keys.json'), JSON.stringify({ keys: entries }))
}

async function start(environment: Record<string, string> = {}): Promise<ServingFixture> {
  fixture = await startServingFixture({ PLATEAU_API_KEYS_FILE: join(folder, 'keys.json'), ...environment })
  const { url } = fixture
  await until(async () => (await fetch(`${url}/readyz`)).ok)
  return fixture
}

const complete = (key: string | undefined, more: object = {}, headers: Record<string, string> = {}) =>
  fetch(`${fixture!.url}/v1/completions`, {
    method: 'POST',
    body: JSON.stringify({ prompt: [5, 6], max_tokens: 4, ...more }),
    headers: { ...headers, ...(key === undefined ? {} : { authorization: `Bearer ${key}` }) },
  })
const errorOf = async (response: Response) =>
  ((await response.json()) as { error: { code: string; param: string } }).error
const metrics = async () => (await fetch(`${fixture!.url}/metrics`)).text()
/** Whose requests the target was asked, and whether they may be captured. */
const asked = () => fixture!.opened.map(({ capture }) => [capture?.tenant, capture?.consent])

describe('over HTTP with a keys file', () => {
  it('nobody is let in without a key, but whoever looks after the service', async () => {
    const { url } = await start()
    for (const key of [undefined, 'pl_wrong']) {
      const refused = await complete(key)
      expect([refused.status, refused.headers.get('www-authenticate')]).toEqual([401, 'Bearer'])
      expect(await errorOf(refused)).toMatchObject({ code: 'invalid_api_key', type: 'invalid_request_error' })
    }
    const status = async (path: string, init?: RequestInit) => (await fetch(`${url}${path}`, init)).status
    for (const path of ['/v1/models', '/v1/models/tiny-target', '/version']) expect(await status(path)).toBe(401)
    for (const path of ['/tokenize', '/detokenize']) expect(await status(path, { method: 'POST' })).toBe(401)
    for (const path of ['/health', '/healthz', '/readyz', '/metrics']) expect(await status(path)).toBe(200)
    expect((await complete('pl_app')).status).toBe(200)
  })

  it('the tenant is the key’s, whatever the request says, and only consented keys are captured', async () => {
    await start()
    await complete('pl_app', { user: 'other' }, { 'x-plateau-tenant': 'another' })
    await complete('pl_private')
    await complete('pl_app', { plateau: { capture: false } })
    expect(asked().filter(([tenant]) => tenant !== '')).toEqual([
      ['acme', true],
      ['acme', false],
      ['acme', false],
    ])
    expect(await metrics()).toContain('plateau_requests_total{outcome="length",tenant="acme"} 3')
  })

  it('the port of the API keeps its metrics to itself where it is told to', async () => {
    const { url } = await start({ PLATEAU_HTTP_METRICS: 'off' })
    expect((await fetch(`${url}/metrics?x`)).status).toBe(404)
    expect((await fetch(`${url}/healthz`)).status).toBe(200)
    expect((await fetch(`${fixture!.service.opsUrl}/metrics`)).status).toBe(200)
  })

  it('a tenant that opted out is not captured, whatever its keys say; all means also keys that say nothing', async () => {
    await start({ PLATEAU_NO_CAPTURE_TENANTS: 'acme', PLATEAU_CAPTURE: 'all' })
    for (const key of ['pl_app', 'pl_small']) await complete(key)
    expect(asked().filter(([tenant]) => tenant !== '')).toEqual([
      ['acme', false],
      ['small', true],
    ])
  })

  it('quotas are 429 with the seconds to wait, and 400 for what never fits', async () => {
    await start()
    const tooLong = await complete('pl_small', { max_tokens: 200, n: 2, prompt: Array(50).fill(5) })
    expect(tooLong.status).toBe(200)
    const unfit = await complete('pl_small', { n: 3 })
    expect([unfit.status, (await errorOf(unfit)).param]).toEqual([400, 'n'])
    expect((await complete('pl_small')).status).toBe(200)
    const refused = await complete('pl_small')
    expect([refused.status, await errorOf(refused)]).toEqual([
      429,
      expect.objectContaining({ type: 'rate_limit_error', code: 'rate_limit_exceeded' }),
    ])
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(20)
    expect(await metrics()).toContain('plateau_requests_refused_total{tenant="small",reason="requests_per_minute"} 1')
    // Others are not concerned.
    expect((await complete('pl_app')).status).toBe(200)
  })

  it('a key that is taken out of the file is refused, one that is added let in, without a restart', async () => {
    await start()
    await writeKeys([{ ...KEYS[0]!, key: 'pl_new' }])
    await until(async () => (await complete('pl_app')).status === 401)
    expect((await complete('pl_new')).status).toBe(200)
  })
})

it('without a keys file nobody has consented, and the request says whose it is', async () => {
  fixture = await startServingFixture({})
  const { url } = fixture
  await until(async () => (await fetch(`${url}/readyz`)).ok)
  await complete(undefined, { user: 'other' })
  expect(asked()).toContainEqual(['other', false])
})

it('a keys file that cannot be read ends the start, and says what is wrong', async () => {
  await writeFile(join(folder, 'keys.json'), '{"keys":[{}]}')
  await expect(start()).rejects.toMatchObject({
    code: 'API_KEYS_INVALID',
    message: expect.stringContaining('keys[0].sha256'),
  })
})

describe('over gRPC with a keys file', () => {
  async function generate(authorization: string | undefined, more: Partial<target.SamplingParams> = {}) {
    const client = createClient(serving.ServingServiceClient, fixture!.grpcAddress)
    const request = serving.GenerateRequest.fromPartial({ prompt: 'a', tenant: 'other' })
    const sampling = target.SamplingParams.fromPartial({ maxTokens: 4, ...more } as Partial<target.SamplingParams>)
    const settings = { deadlineMs: 20_000, metadata: authorization === undefined ? {} : { authorization } }
    const tokens: number[] = []
    try {
      const responses = callServerStream<serving.GenerateRequest, serving.GenerateResponse>(
        (...args) => client.generate(...args),
        { ...request, sampling },
        settings,
      )
      for await (const { tokenIds } of responses) tokens.push(...tokenIds)
    } finally {
      client.close()
    }
    return tokens
  }

  it('the same keys hold, and the same quotas', async () => {
    await start()
    const unauthenticated = { code: 'UNAUTHENTICATED', facts: { reason: 'invalid_api_key' } }
    await expect(generate(undefined)).rejects.toMatchObject(unauthenticated)
    await expect(generate('Bearer pl_wrong')).rejects.toMatchObject(unauthenticated)
    expect(await generate('Bearer pl_app')).toHaveLength(4)
    expect(asked()).toContainEqual(['acme', true])
    for (let i = 0; i < 2; i++) await generate('Bearer pl_small')
    await expect(generate('Bearer pl_small')).rejects.toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      facts: { limit: 'requests_per_minute', retryAfterSeconds: expect.any(Number) },
    })
    const client = createClient(serving.ServingServiceClient, fixture!.grpcAddress)
    const status = callUnary<serving.StatusRequest, serving.StatusResponse>((...args) => client.status(...args), {})
    await expect(status).rejects.toMatchObject(unauthenticated)
    client.close()
  })

  it('what changes the distribution is checked, and log probabilities are refused', async () => {
    await start()
    const wrong: [Partial<target.SamplingParams>, string][] = [
      [{ presencePenalty: 3 }, 'sampling.presence_penalty'],
      [{ repetitionPenalty: -1 }, 'sampling.repetition_penalty'],
      [{ logitBias: { 4096: 1 } }, 'sampling.logit_bias'],
      [{ logitBias: { 1: 200 } }, 'sampling.logit_bias'],
      [{ logprobs: 1 }, 'sampling.logprobs'],
    ]
    for (const [sampling, field] of wrong) {
      await expect(generate('Bearer pl_app', sampling)).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
        facts: { field },
      })
    }
    expect(await generate('Bearer pl_app', { presencePenalty: 1, logitBias: { 7: -5 } })).toHaveLength(4)
    expect(fixture!.opened.at(-1)?.sampling).toMatchObject({ presencePenalty: 1, logitBias: { 7: -5 } })
  })
})
