import type { StoredFile } from '@plateau/checkpoints'
import { PlateauError, RolloutState, type Rollout, serving, target, topics } from '@plateau/contracts'
import { callServerStream, callUnary, createClient } from '@plateau/rpc'
import { loadTokenizer } from '@plateau/model-files'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { greedyResponse } from './testing/markov-target.js'
import {
  modelDirectory,
  startServingFixture,
  until,
  type Damage,
  type ServingFixture,
} from './testing/serving-fixture.js'

const tokenizer = await loadTokenizer(modelDirectory)
const V = 4096
const prompt = tokenizer.encode('Mr. Speaker')

let fixture: ServingFixture | undefined
afterEach(async () => {
  await fixture?.close()
  fixture = undefined
})

async function start(...args: Parameters<typeof startServingFixture>): Promise<ServingFixture> {
  fixture = await startServingFixture(...args)
  const { url } = fixture
  if (args[1]?.target !== 'none') await until(async () => (await fetch(`${url}/readyz`)).ok)
  return fixture
}

const post = (url: string, path: string, body: unknown, init: RequestInit = {}) =>
  fetch(`${url}${path}`, { method: 'POST', body: typeof body === 'string' ? body : JSON.stringify(body), ...init })

interface Answer {
  readonly choices: {
    text?: string
    finish_reason: string | null
    message?: { content: string }
    delta?: { content: string }
  }[]
  readonly usage?: { prompt_tokens: number; completion_tokens: number }
  readonly plateau?: { draft_version: string; num_draft_tokens: number; token_ids?: number[] }
  readonly error?: { message: string; type: string; param: string | null; code: string | null }
}

const complete = async (url: string, body: object): Promise<Answer> =>
  (await (
    await post(url, '/v1/completions', { prompt: 'Mr. Speaker', temperature: 0, max_tokens: 20, ...body })
  ).json()) as Answer

async function events(response: Response): Promise<string[]> {
  const text = await response.text()
  expect(text.endsWith('\n\n')).toBe(true)
  return text
    .trimEnd()
    .split('\n\n')
    .map((event) => event.replace(/^data: /, ''))
}

describe('the HTTP door', () => {
  it('answers whole, with usage, finish reason and what speculation did', async () => {
    const { url } = await start()
    const expected = greedyResponse(prompt, 20, V)
    const answer = await complete(url, { return_token_ids: true })
    expect(answer).toMatchObject({
      object: 'text_completion',
      model: 'tiny-target',
      choices: [{ index: 0, text: tokenizer.decode(expected), finish_reason: 'length', logprobs: null }],
      usage: { prompt_tokens: prompt.length, completion_tokens: 20, total_tokens: prompt.length + 20 },
      plateau: { draft_version: '0', num_drafts: 0, num_draft_tokens: 0, num_accepted_tokens: 0, token_ids: expected },
    })
    const chat = (await (
      await post(url, '/v1/chat/completions', {
        messages: [{ role: 'user', content: 'Hi' }],
        max_tokens: 3,
        temperature: 0,
      })
    ).json()) as Answer
    expect(chat).toMatchObject({
      object: 'chat.completion',
      choices: [{ message: { role: 'assistant' }, finish_reason: 'length' }],
    })
    expect(chat.plateau).not.toHaveProperty('token_ids')
  })

  it('streams the same text, then the finish reason, usage where asked, and the end mark', async () => {
    const { url } = await start()
    const body = {
      prompt: 'Mr. Speaker',
      temperature: 0,
      max_tokens: 20,
      stream: true,
      stream_options: { include_usage: true },
    }
    const response = await post(url, '/v1/completions', body)
    expect(response.headers.get('content-type')).toBe('text/event-stream')
    const sent = await events(response)
    expect(sent.at(-1)).toBe('[DONE]')
    const chunks = sent.slice(0, -1).map((event) => JSON.parse(event) as Answer)
    expect(chunks.map((chunk) => chunk.choices[0]?.text ?? '').join('')).toBe(
      tokenizer.decode(greedyResponse(prompt, 20, V)),
    )
    expect(chunks.map((chunk) => chunk.choices[0]?.finish_reason).filter(Boolean)).toEqual(['length'])
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { completion_tokens: 20 } })
    expect(chunks.at(-2)).toMatchObject({ plateau: { draft_version: '0' } })

    const chat = await post(url, '/v1/chat/completions', {
      messages: [{ role: 'user', content: 'Hi' }],
      max_tokens: 4,
      stream: true,
    })
    const deltas = (await events(chat)).slice(0, -1).map((event) => JSON.parse(event) as Answer)
    expect(deltas[0]).toMatchObject({ object: 'chat.completion.chunk', choices: [{ delta: { role: 'assistant' } }] })
    expect(deltas[1]?.choices[0]?.delta).not.toHaveProperty('role')
  })

  it('says what is wrong in the shape of OpenAI, and stays up', async () => {
    const { url } = await start({ PLATEAU_MAX_BODY_BYTES: '2KiB' })
    const wrong = async (path: string, body: unknown, init?: RequestInit) => {
      const response = await post(url, path, body, init)
      const { error } = (await response.json()) as Answer
      return [response.status, error?.param, error?.code, error?.type]
    }
    const invalid = 'invalid_request_error'
    expect(await wrong('/v1/completions', '{')).toEqual([400, 'body', null, invalid])
    expect(await wrong('/v1/completions', { prompt: 'a', temperature: -1 })).toEqual([
      400,
      'temperature',
      null,
      invalid,
    ])
    expect(await wrong('/v1/completions', { prompt: 'a', model: 'x' })).toEqual([
      404,
      'model',
      'model_not_found',
      invalid,
    ])
    expect(await wrong('/v1/completions', { prompt: Array(300).fill(5) })).toEqual([
      400,
      'prompt',
      'context_length_exceeded',
      invalid,
    ])
    expect(await wrong('/v1/completions', { prompt: 'a'.repeat(3000) })).toEqual([413, null, null, invalid])
    expect(await wrong('/v1/nothing', {})).toEqual([404, null, null, invalid])
    expect((await fetch(`${url}/v1/completions`)).status).toBe(405)
    expect((await complete(url, {})).choices[0]?.finish_reason).toBe('length')
  })

  it('lists its model, its health and its metrics', async () => {
    const { url } = await start()
    await complete(url, { user: 'acme' })
    expect(await (await fetch(`${url}/v1/models`)).json()).toMatchObject({
      data: [{ id: 'tiny-target', object: 'model' }],
    })
    expect((await fetch(`${url}/healthz`)).status).toBe(200)
    const metrics = await (await fetch(`${url}/metrics`)).text()
    expect(metrics).toContain('plateau_generation_tokens_total{draft_version="0",tenant="acme"} 20')
    expect(metrics).toContain('plateau_requests_total{outcome="length",tenant="acme"} 1')
    expect(metrics).toContain('plateau_target_connected 1')
  })

  it('a client that hangs up ends its response at the target', async () => {
    let rounds = 0
    const slow = { beforeVerdict: () => new Promise<void>((resolve) => setTimeout(resolve, rounds++ === 0 ? 0 : 20)) }
    const { url } = await start({}, { target: slow })
    const client = new AbortController()
    const body = { prompt: 'a', max_tokens: 200, stream: true }
    const response = await post(url, '/v1/completions', body, { signal: client.signal })
    await response.body!.getReader().read()
    client.abort()
    await until(async () => (await (await fetch(`${url}/metrics`)).text()).includes('outcome="cancelled",tenant=""} 1'))
    const before = rounds
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(rounds).toBeLessThanOrEqual(before + 1)
  })

  it('a target that breaks off a streamed response leaves an error event and no end mark', async () => {
    const broken = new PlateauError('UNAVAILABLE', 'shutting down', { retryable: true })
    const beforeVerdict = (round: number) => (round < 3 ? Promise.resolve() : Promise.reject(broken))
    const { url } = await start({}, { target: { beforeVerdict } })
    const body = { prompt: 'Mr. Speaker', temperature: 0, max_tokens: 20, stream: true }
    const sent = await events(await post(url, '/v1/completions', body))
    expect(sent).not.toContain('[DONE]')
    const { error } = JSON.parse(sent.at(-1)!) as Answer
    expect(error).toMatchObject({ type: 'server_error', message: expect.stringContaining('shutting down') })
    const metrics = async () => (await fetch(`${url}/metrics`)).text()
    expect(await metrics()).toContain('plateau_target_streams_lost_total 1')
    expect(await metrics()).toContain('plateau_requests_total{outcome="failed",tenant=""} 1')
  })

  it('more requests than may wait are told to come back', async () => {
    const hold = Promise.withResolvers<void>()
    const { url } = await start(
      { PLATEAU_MAX_CONCURRENT: '1', PLATEAU_MAX_WAITING: '1' },
      { target: { beforeVerdict: () => hold.promise } },
    )
    const running = [complete(url, {}), complete(url, {})]
    await until(async () => (await (await fetch(`${url}/metrics`)).text()).includes('plateau_requests_waiting 1'))
    const refused = await post(url, '/v1/completions', { prompt: 'a' })
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '1'])
    hold.resolve()
    for (const answer of await Promise.all(running)) expect(answer.usage?.completion_tokens).toBe(20)
  })

  it('without a target it starts, is not ready, and answers 503 at once', async () => {
    const { url } = await start({}, { target: 'none' })
    expect((await fetch(`${url}/readyz`)).status).toBe(503)
    const response = await post(url, '/v1/completions', { prompt: 'a' })
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '1'])
  })

  it('a target that is another model ends the service with a failure', async () => {
    fixture = await startServingFixture({}, { target: { fingerprint: 'another' } })
    expect(await fixture.service.stopped).toBe(1)
    const { fields } = fixture.logs.find(({ message }) => message === 'service failed')!
    expect(String(fields['error'])).toContain('is not the model in PLATEAU_MODEL')
  })
})

describe('the gRPC door', () => {
  it('generates the same tokens and tells how it does', async () => {
    const { grpcAddress } = await start()
    const client = createClient(serving.ServingServiceClient, grpcAddress)
    const sampling = target.SamplingParams.fromPartial({ maxTokens: 20 })
    const request = {
      prompt: 'Mr. Speaker',
      sampling,
      tenant: 'a',
      domain: '',
      disableSpeculation: false,
      optOutOfCapture: false,
      stop: [],
    }
    const tokens: number[] = []
    let last: serving.GenerateResponse | undefined
    const call = (r: serving.GenerateRequest) =>
      callServerStream<serving.GenerateRequest, serving.GenerateResponse>((...args) => client.generate(...args), r)
    for await (const message of call(request)) {
      tokens.push(...message.tokenIds)
      last = message
    }
    expect(tokens).toEqual(greedyResponse(prompt, 20, V))
    expect(last).toMatchObject({ finishReason: 2, stats: { draftVersion: '0', numEmittedTokens: 20 } })
    const wrong = call({ ...request, sampling: { ...sampling, maxTokens: 0 } }).next()
    await expect(wrong).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', facts: { field: 'sampling.max_tokens' } })
    const status = await callUnary<serving.StatusRequest, serving.StatusResponse>(
      (...args) => client.status(...args),
      {},
    )
    expect(status).toMatchObject({ modelId: 'tiny-target', liveDraftVersion: '0', requestsInFlight: 0, swaps: 0 })
    client.close()
  })
})

describe('drafts', () => {
  it('a published version goes live, changes no token, and is reported', async () => {
    const { url, publish, records } = await start()
    const plain = await complete(url, { return_token_ids: true })
    await publish(1)
    await until(async () => (await complete(url, { max_tokens: 1 })).plateau?.draft_version === '1')
    await until(async () => {
      const drafted = await complete(url, { return_token_ids: true, max_tokens: 60 })
      expect(drafted.plateau?.token_ids?.slice(0, 20)).toEqual(plain.plateau?.token_ids)
      return (drafted.plateau?.num_draft_tokens ?? 0) > 0
    })
    await publish(2)
    await until(async () => (await complete(url, { max_tokens: 1 })).plateau?.draft_version === '2')

    const S = RolloutState
    await until(async () => (await records(topics.rollouts)).length >= 11)
    expect((await records(topics.rollouts)).map(({ version, state }) => [version, state])).toEqual([
      [1, S.ROLLOUT_STATE_ANNOUNCED],
      [1, S.ROLLOUT_STATE_VERIFIED],
      [1, S.ROLLOUT_STATE_SHADOW],
      [1, S.ROLLOUT_STATE_CANARY],
      [1, S.ROLLOUT_STATE_LIVE],
      [2, S.ROLLOUT_STATE_ANNOUNCED],
      [2, S.ROLLOUT_STATE_VERIFIED],
      [2, S.ROLLOUT_STATE_SHADOW],
      [2, S.ROLLOUT_STATE_CANARY],
      [1, S.ROLLOUT_STATE_REPLACED],
      [2, S.ROLLOUT_STATE_LIVE],
    ])
    const emitted = async (version: string): Promise<number> =>
      (await records(topics.acceptance))
        .filter(({ draftVersion }) => draftVersion === version)
        .reduce((sum, record) => sum + record.numEmittedTokens, 0)
    await until(async () => (await emitted('1')) >= 61)
    expect(await emitted('0')).toBeGreaterThanOrEqual(20)
    expect(await (await fetch(`${url}/metrics`)).text()).toContain('plateau_draft_version 2')
  })

  it('versions of different kinds follow each other, also in mid-response, and change no token', async () => {
    const { url, publish } = await start({ PLATEAU_PROMPT_LOOKUP: 'off' })
    const live = (version: string) =>
      until(async () => (await complete(url, { max_tokens: 1 })).plateau?.draft_version === version)
    const long = { return_token_ids: true, max_tokens: 80 }
    const plain = await complete(url, long)
    for (const [version, causalDraftOf] of [undefined, V, undefined, V].entries()) {
      const running = complete(url, long)
      await publish(version + 1, causalDraftOf === undefined ? {} : { causalDraftOf })
      await live(String(version + 1))
      // Whether it proposes is by what it takes on this machine; a new version is tried within a few responses.
      await until(async () => {
        const after = await complete(url, long)
        expect(after.plateau?.token_ids).toEqual(plain.plateau?.token_ids)
        return after.plateau?.draft_version === String(version + 1) && after.plateau.num_draft_tokens > 0
      })
      expect((await running).plateau?.token_ids).toEqual(plain.plateau?.token_ids)
    }
  })

  it.each<[string, Damage, string]>([
    ['announced but missing in the store', { missing: true }, 'CHECKPOINT_NOT_FOUND'],
    ['signed with a key that is not trusted', { foreignKey: true }, 'CHECKPOINT_KEY_UNKNOWN'],
    ['made for another target', { manifest: { targetFingerprint: 'x' } }, 'CHECKPOINT_TARGET_MISMATCH'],
    ['made for another tokenizer', { manifest: { tokenizerHash: 'x' } }, 'CHECKPOINT_TOKENIZER_MISMATCH'],
    ['of a kind that is not known', { manifest: { kind: 'n-gram' } }, 'DRAFT_KIND_UNKNOWN'],
    ['of another kind than its manifest says', { manifest: { kind: 'causal-lm' } }, 'DRAFT_INVALID'],
    ['for another vocabulary', { causalDraftOf: 100 }, 'DRAFT_INVALID'],
    ['whose weights are cut off', { files: cutOff }, 'MODEL_FILE_TRUNCATED'],
    ['without weights', { files: (files) => files.filter(({ path }) => path === 'config.json') }, 'DRAFT_INVALID'],
  ])('a version %s is refused and the live one stays', async (_, damage, code) => {
    const { url, publish, records } = await start()
    await publish(1)
    await until(async () => (await complete(url, { max_tokens: 1 })).plateau?.draft_version === '1')
    await publish(2, damage)
    const refused = async () =>
      (await records(topics.rollouts)).find(({ state }) => state === RolloutState.ROLLOUT_STATE_REJECTED)
    await until(async () => (await refused()) !== undefined)
    expect(await refused()).toMatchObject({ version: 2, reason: expect.stringContaining(code) })
    expect((await complete(url, {})).plateau?.draft_version).toBe('1')
    await publish(3)
    await until(async () => (await complete(url, { max_tokens: 1 })).plateau?.draft_version === '3')
  })

  it('a restart begins with the version last found good and tests the newest one; without speculation none is loaded', async () => {
    const root = await mkdtemp(join(tmpdir(), 'serving-'))
    const first = await start({}, { root })
    await first.publish(1)
    const isLive = ({ version, state }: Rollout) => version === 1 && state === RolloutState.ROLLOUT_STATE_LIVE
    await until(async () => (await first.records(topics.rollouts)).some(isLive))
    await first.publish(2)
    await until(async () => (await complete(first.url, { max_tokens: 1 })).plateau?.draft_version === '2')
    const before = (await first.records(topics.rollouts)).length
    await first.close()
    const second = await start({}, { root })
    await until(async () => (await complete(second.url, { max_tokens: 1 })).plateau?.draft_version === '2')
    const states = (await second.records(topics.rollouts)).slice(before).map(({ version, state }) => [version, state])
    expect(states.slice(0, 2)).toEqual([
      [1, RolloutState.ROLLOUT_STATE_LIVE],
      [2, RolloutState.ROLLOUT_STATE_ANNOUNCED],
    ])
    await second.close()
    const third = await start({ PLATEAU_SPECULATION: 'off' }, { root })
    expect((await complete(third.url, {})).plateau?.draft_version).toBe('0')
    await third.close()
    fixture = undefined
    await rm(root, { recursive: true })
  })
})

function cutOff(files: readonly StoredFile[]): StoredFile[] {
  return files.map(({ path, bytes }) => ({ path, bytes: path === 'config.json' ? bytes : bytes.subarray(0, 5000) }))
}
