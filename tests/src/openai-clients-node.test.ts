/** OpenAI's own client for Node against the real service. */
import { PlateauError } from '@plateau/contracts'
import OpenAI, {
  APIConnectionError,
  APIUserAbortError,
  AuthenticationError,
  BadRequestError,
  InternalServerError,
  NotFoundError,
  RateLimitError,
} from 'openai'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { KEY, MODEL, RARE_KEY, startServiceWithKeys, type Service } from './openai-clients.js'

let service: Service
let openai: OpenAI
const metricsOf = async ({ url }: Service) => (await fetch(`${url}/metrics`)).text()
const clientOf = (url: string, apiKey: string) => new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0 })

beforeAll(async () => {
  service = await startServiceWithKeys()
  openai = clientOf(service.url, KEY)
})
afterAll(() => service.close())

const hello = [{ role: 'user' as const, content: 'Mr. Speaker' }]
const chat = { model: MODEL, messages: hello, max_completion_tokens: 12, temperature: 0 }
const completion = { model: MODEL, prompt: 'Mr. Speaker', max_tokens: 12, temperature: 0 }

describe('chats', () => {
  test('are answered whole, with usage and finish reason', async () => {
    const { choices, usage, id, object } = await openai.chat.completions.create(chat)
    expect([object, id.startsWith('chatcmpl-')]).toEqual(['chat.completion', true])
    expect(choices).toHaveLength(1)
    expect(choices[0]).toMatchObject({ finish_reason: 'length', message: { role: 'assistant', refusal: null } })
    expect(usage!.completion_tokens).toBe(12)
    expect(usage!.total_tokens).toBe(usage!.prompt_tokens + 12)
  })

  test('are streamed, also by the helper that collects them, with usage where asked', async () => {
    const whole = await openai.chat.completions.create(chat)
    let text = ''
    let usage: OpenAI.CompletionUsage | null | undefined
    const stream = await openai.chat.completions.create({
      ...chat,
      stream: true,
      stream_options: { include_usage: true },
    })
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? ''
      usage = chunk.usage
    }
    expect(text).toBe(whole.choices[0]!.message.content)
    expect(usage).toEqual(whole.usage)
    const collected = await openai.chat.completions.stream(chat).finalChatCompletion()
    expect(collected.choices[0]!.message.content).toBe(text)
  })

  test('have several choices, whole and streamed', async () => {
    const sampled = { ...chat, temperature: 1, n: 3, seed: 5, logprobs: true }
    const whole = await openai.chat.completions.create(sampled)
    expect(whole.choices.map(({ index }) => index)).toEqual([0, 1, 2])
    const collected = await openai.chat.completions.stream(sampled).finalChatCompletion()
    expect(collected.choices.map(({ message }) => message.content?.length)).toHaveLength(3)
    expect(new Set(whole.choices.map(({ message }) => message.content)).size).toBeGreaterThan(1)
  })

  test('have log probabilities whose bytes are the text', async () => {
    const { choices } = await openai.chat.completions.create({ ...chat, logprobs: true, top_logprobs: 2 })
    const content = choices[0]!.logprobs!.content!
    expect(Buffer.from(content.flatMap(({ bytes }) => bytes!)).toString('utf8')).toBe(choices[0]!.message.content)
    for (const { logprob, top_logprobs } of content) {
      expect(top_logprobs).toHaveLength(2)
      expect(logprob).toBeLessThanOrEqual(0)
    }
  })

  test('end before a stop string', async () => {
    const text = (await openai.chat.completions.create(chat)).choices[0]!.message.content!
    const stop = text.slice(6, 9)
    const { choices } = await openai.chat.completions.create({ ...chat, stop: [stop] })
    expect(choices[0]).toMatchObject({
      finish_reason: 'stop',
      message: { content: text.slice(0, text.indexOf(stop)) },
    })
  })
})

describe('completions', () => {
  test('continue several prompts, with the prompt before the text where asked', async () => {
    const { choices, usage } = await openai.completions.create({ ...completion, prompt: ['Mr. Speaker', 'The'], n: 2 })
    expect(choices.map(({ index }) => index)).toEqual([0, 1, 2, 3])
    expect(choices[0]!.text).toBe(choices[1]!.text)
    expect(usage!.completion_tokens).toBe(48)
    const echoed = await openai.completions.create({ ...completion, echo: true })
    expect(echoed.choices[0]!.text).toBe(`Mr. Speaker${choices[0]!.text}`)
  })

  test('have log probabilities as lists, and are streamed', async () => {
    const { choices } = await openai.completions.create({ ...completion, logprobs: 1 })
    const { tokens, token_logprobs, text_offset, top_logprobs } = choices[0]!.logprobs!
    expect(tokens!.join('')).toBe(choices[0]!.text)
    expect([token_logprobs, text_offset, top_logprobs].map((list) => list!.length)).toEqual([12, 12, 12])
    let text = ''
    for await (const chunk of await openai.completions.create({ ...completion, stream: true }))
      text += chunk.choices[0]!.text
    expect(text).toBe(choices[0]!.text)
  })
})

test('models are listed and found', async () => {
  const models = await openai.models.list()
  expect(models.data.map(({ id }) => id)).toEqual([MODEL])
  expect(await openai.models.retrieve(MODEL)).toMatchObject({ id: MODEL, owned_by: 'plateau' })
})

describe('what goes wrong is the client’s own error class', () => {
  test('a wrong field, an unknown model, a wrong key', async () => {
    const tooHot = openai.chat.completions.create({ ...chat, temperature: 3 })
    await expect(tooHot).rejects.toBeInstanceOf(BadRequestError)
    await expect(tooHot).rejects.toMatchObject({ status: 400, param: 'temperature', type: 'invalid_request_error' })
    const tools = [{ type: 'function' as const, function: { name: 'f' } }]
    await expect(openai.chat.completions.create({ ...chat, tools })).rejects.toMatchObject({ param: 'tools' })
    const unknown = openai.chat.completions.create({ ...chat, model: 'gpt' })
    await expect(unknown).rejects.toBeInstanceOf(NotFoundError)
    await expect(unknown).rejects.toMatchObject({ code: 'model_not_found' })
    const stranger = clientOf(service.url, 'pl_stranger').chat.completions.create(chat)
    await expect(stranger).rejects.toBeInstanceOf(AuthenticationError)
    await expect(stranger).rejects.toMatchObject({ code: 'invalid_api_key', requestID: expect.any(String) })
  })

  test('a quota that is used up, with the time to wait', async () => {
    const rare = clientOf(service.url, RARE_KEY)
    await rare.completions.create(completion)
    const refused: unknown = await rare.completions.create(completion).catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(RateLimitError)
    const { headers, code } = refused as RateLimitError
    expect(code).toBe('rate_limit_exceeded')
    expect(Number(headers.get('retry-after'))).toBeGreaterThan(30)
  })

  test('nobody there, and a target that is away', async () => {
    const nobody = clientOf('http://127.0.0.1:1', KEY).completions.create(completion)
    await expect(nobody).rejects.toBeInstanceOf(APIConnectionError)
    const other = await startServiceWithKeys({ target: 'none' })
    try {
      const away = clientOf(other.url, KEY).completions.create(completion)
      await expect(away).rejects.toBeInstanceOf(InternalServerError)
      await expect(away).rejects.toMatchObject({ status: 503, type: 'server_error' })
    } finally {
      await other.close()
    }
  })

  test('a request that the client gives up', async () => {
    const hold = Promise.withResolvers<void>()
    const other = await startServiceWithKeys({ target: { beforeVerdict: () => hold.promise } })
    try {
      const leaving = new AbortController()
      const asked = clientOf(other.url, KEY).chat.completions.create(chat, { signal: leaving.signal })
      const running = async () => (await metricsOf(other)).includes('plateau_requests_running 1')
      await expect.poll(running, { timeout: 10_000 }).toBe(true)
      leaving.abort()
      await expect(asked).rejects.toBeInstanceOf(APIUserAbortError)
      const idle = async () => (await metricsOf(other)).includes('plateau_requests_running 0')
      await expect.poll(idle, { timeout: 10_000 }).toBe(true)
    } finally {
      hold.resolve()
      await other.close()
    }
  })

  test('a stream that the client leaves ends at the target', async () => {
    const stream = await openai.completions.create({ ...completion, max_tokens: 200, stream: true })
    for await (const _ of stream) break
    const cancelled = 'plateau_requests_total{outcome="cancelled",tenant="clients"} 1'
    const ended = async () => (await metricsOf(service)).includes(cancelled)
    await expect.poll(ended, { timeout: 10_000 }).toBe(true)
  })
})

test('a target that breaks off a stream is an error in the loop over it', async () => {
  const broken = new PlateauError('UNAVAILABLE', 'shutting down', { retryable: true })
  const beforeVerdict = (round: number) => (round < 3 ? Promise.resolve() : Promise.reject(broken))
  const other = await startServiceWithKeys({ target: { beforeVerdict } })
  try {
    const client = clientOf(other.url, KEY)
    const stream = await client.completions.create({ ...completion, stream: true })
    const read = async () => {
      for await (const _ of stream) continue
    }
    await expect(read()).rejects.toThrow('shutting down')
    const whole = client.completions.create(completion)
    await expect(whole).rejects.toBeInstanceOf(InternalServerError)
  } finally {
    await other.close()
  }
})
