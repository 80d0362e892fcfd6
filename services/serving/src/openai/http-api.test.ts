import { loadTokenizer } from '@plateau/model-files'
import { transformLogits } from '@plateau/speculation'
import { afterEach, describe, expect, it } from 'vitest'
import { greedyResponse, markovLogits } from '../testing/markov-target.js'
import { modelDirectory, startServingFixture, until, type ServingFixture } from '../testing/serving-fixture.js'

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
  await until(async () => (await fetch(`${url}/readyz`)).ok)
  return fixture
}

interface TokenLogProb {
  token: string
  logprob: number
  bytes: number[] | null
}

interface Choice {
  index: number
  text: string
  message: { content: string }
  delta: { role?: string; content: string }
  finish_reason: string | null
  token_ids?: number[]
  prompt_token_ids?: number[]
  logprobs: {
    content: (TokenLogProb & { top_logprobs: TokenLogProb[] })[]
    tokens: string[]
    token_logprobs: number[]
    top_logprobs: Record<string, number>[]
    text_offset: number[]
  } | null
}

interface Usage {
  prompt_tokens: number
  completion_tokens: number
  total_tokens: number
}

interface Answer {
  choices: Choice[]
  usage?: Usage | null
  plateau?: { draft_version: string; token_ids?: number[] }
  prompt_token_ids?: number[]
  metrics?: { speculative_decoding: Record<string, unknown> | null }
  error?: { message: string; type: string; param: string | null; code: string | null }
}

const greedy = { prompt: 'Mr. Speaker', temperature: 0, max_tokens: 12 }
const post = (path: string, body: object) =>
  fetch(`${fixture!.url}${path}`, { method: 'POST', body: JSON.stringify(body) })
const answer = async (body: object, path = '/v1/completions') => (await (await post(path, body)).json()) as Answer
const chat = (body: object) =>
  answer(
    { messages: [{ role: 'user', content: 'Hi' }], temperature: 0, max_tokens: 12, ...body },
    '/v1/chat/completions',
  )

async function chunks(body: object, path = '/v1/completions'): Promise<Answer[]> {
  const text = await (await post(path, { stream: true, ...body })).text()
  const events = text.trimEnd().split('\n\n')
  expect(events.at(-1)).toBe('data: [DONE]')
  return events.slice(0, -1).map((event) => JSON.parse(event.replace(/^data: /, '')) as Answer)
}

/** Of each choice, what its chunks say together. */
function joined(sent: readonly Answer[]) {
  const parts = sent.flatMap(({ choices }) => choices)
  const indices = [...new Set(parts.map(({ index }) => index))].toSorted((a, b) => a - b)
  return indices.map((index) => {
    const own = parts.filter((part) => part.index === index)
    return {
      text: own.map(({ text, delta }) => text ?? delta.content).join(''),
      finish: own.map(({ finish_reason }) => finish_reason).filter((reason) => reason !== null),
      tokens: own.flatMap(({ token_ids = [] }) => token_ids),
    }
  })
}

const sampled = { prompt: ['Mr. Speaker', [5, 6]], max_tokens: 12, n: 3, seed: 11, return_token_ids: true }

describe('several choices', () => {
  it('are each as its own request with its own seed would be, prompt by prompt, whole and streamed', async () => {
    await start({ PLATEAU_PROMPT_LOOKUP: 'off' })
    const together = await answer(sampled)
    expect(together.choices.map(({ index }) => index)).toEqual([0, 1, 2, 3, 4, 5])
    for (const [i, choice] of together.choices.entries()) {
      const single = { ...sampled, prompt: sampled.prompt[Math.floor(i / 3)], n: 1, seed: 11 + (i % 3) }
      expect(choice.token_ids).toEqual((await answer(single)).choices[0]!.token_ids)
      expect(choice.text).toBe(tokenizer.decode(choice.token_ids!))
    }
    expect(new Set(together.choices.slice(0, 3).map(({ text }) => text)).size).toBeGreaterThan(1)
    const promptTokens = prompt.length + 2
    const usage = { prompt_tokens: promptTokens, completion_tokens: 72, total_tokens: promptTokens + 72 }
    expect(together.usage).toEqual(usage)

    const streamed = await chunks({ ...sampled, stream_options: { include_usage: true } })
    expect(joined(streamed)).toEqual(
      together.choices.map(({ text, token_ids }) => ({ text, finish: ['length'], tokens: token_ids })),
    )
    expect(streamed.at(-1)).toMatchObject({ choices: [], usage })
    // They come side by side, not one after the other.
    const order = streamed.flatMap(({ choices }) => choices.map(({ index }) => index))
    expect(order.indexOf(5)).toBeLessThan(order.lastIndexOf(0))
  })

  it('hold one place each; if one has none, all are refused', async () => {
    await start({ PLATEAU_MAX_CONCURRENT: '2', PLATEAU_MAX_WAITING: '1' })
    expect((await answer({ ...greedy, n: 3 })).choices).toHaveLength(3)
    const tooMany = await post('/v1/completions', { ...greedy, n: 4 })
    expect([tooMany.status, ((await tooMany.json()) as Answer).error?.param]).toEqual([400, 'n'])
    const metrics = async () => (await fetch(`${fixture!.url}/metrics`)).text()
    await until(async () => (await metrics()).includes('plateau_requests_running 0'))
    const both = await Promise.all([
      post('/v1/completions', { ...greedy, n: 3 }),
      post('/v1/completions', { ...greedy, n: 3 }),
    ])
    expect(both.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 429])
    expect(await metrics()).toMatch(/plateau_requests_refused_total\{tenant="",reason="queue_full"\} [1-3]/)
  })

  it('are bounded in what they may generate together', async () => {
    await start({}, { target: { maxContext: 100_000 } })
    const { error } = await answer({ ...greedy, n: 16, max_tokens: 20_000 })
    expect(error).toMatchObject({ param: 'max_tokens', message: expect.stringContaining('262144') })
  })
})

describe('log probabilities', () => {
  const logProbsAfter = (token: number) =>
    transformLogits(markovLogits(token, V), { temperature: 1, topK: 0, topP: 1 }).map((p) => Math.log(p))

  it('of a completion are the target’s own, with offsets into its text, whole and streamed, drafted or not', async () => {
    await start()
    const expected = greedyResponse(prompt, 12, V)
    const asked = { ...greedy, logprobs: 2 }
    const { choices } = await answer(asked)
    const { tokens, token_logprobs, top_logprobs, text_offset } = choices[0]!.logprobs!
    expect(tokens.join('')).toBe(choices[0]!.text)
    for (const [i, token] of expected.entries()) {
      const own = logProbsAfter(i === 0 ? prompt.at(-1)! : expected[i - 1]!)
      expect(token_logprobs[i]).toBeCloseTo(own[token]!, 4)
      expect(Math.max(...Object.values(top_logprobs[i]!))).toBeCloseTo(own[token]!, 4)
      expect(text_offset[i]).toBe(Array.from(tokenizer.decode(expected.slice(0, i))).length)
    }
    const streamed = await chunks(asked)
    const parts = streamed.map((chunk) => chunk.choices[0]!.logprobs!)
    expect(parts.flatMap((part) => part.tokens)).toEqual(tokens)
    expect(parts.flatMap((part) => part.text_offset)).toEqual(text_offset)
    const plain = await answer({ ...asked, plateau: { disable_speculation: true } })
    expect(plain.choices[0]!.logprobs!.tokens).toEqual(tokens)
  })

  it('of a chat have bytes and as many others as asked; without being asked there are none', async () => {
    await start()
    const { content } = (await chat({ logprobs: true, top_logprobs: 3 })).choices[0]!.logprobs!
    expect(content).toHaveLength(12)
    for (const { token, logprob, top_logprobs, bytes } of content) {
      expect(top_logprobs).toHaveLength(3)
      expect(top_logprobs[0]).toMatchObject({ token, logprob })
      expect(Buffer.from(bytes!).toString('utf8')).toBe(token)
    }
    expect((await chat({ logprobs: true })).choices[0]!.logprobs!.content[0]!.top_logprobs).toEqual([])
    expect((await chat({})).choices[0]!.logprobs).toBeNull()
  })

  it('end with the text that a stop string leaves', async () => {
    await start()
    const whole = tokenizer.decode(greedyResponse(prompt, 12, V))
    const stop = whole.slice(9, 12)
    const { choices, usage } = await answer({ ...greedy, stop, logprobs: 0 })
    const left = whole.slice(0, whole.indexOf(stop))
    expect([choices[0]!.text, choices[0]!.finish_reason]).toEqual([left, 'stop'])
    const { tokens, text_offset } = choices[0]!.logprobs!
    expect(tokens.join('').startsWith(left)).toBe(true)
    expect(text_offset.every((offset) => offset < left.length)).toBe(true)
    expect(usage!.completion_tokens).toBeGreaterThanOrEqual(tokens.length)
  })
})

it('penalties and biases reach the target', async () => {
  const { opened } = await start()
  const asked = { presence_penalty: 0.5, frequency_penalty: -0.5, repetition_penalty: 1.25, logit_bias: { '7': -100 } }
  await answer({ ...greedy, user: 'acme', ...asked })
  expect(opened.find(({ capture }) => capture?.tenant === 'acme')?.sampling).toMatchObject({
    presencePenalty: 0.5,
    frequencyPenalty: -0.5,
    repetitionPenalty: 1.25,
    logitBias: { 7: -100 },
  })
})

it('echo puts the prompt before every choice, whole and streamed', async () => {
  await start()
  const asked = { ...greedy, prompt: ['Mr. Speaker', [5, 6]], echo: true }
  const texts = ['Mr. Speaker', tokenizer.decode([5, 6])]
  const { choices } = await answer(asked)
  expect(choices.map(({ text }, i) => text.startsWith(texts[i]!))).toEqual([true, true])
  expect(choices[0]!.text).toBe(`Mr. Speaker${tokenizer.decode(greedyResponse(prompt, 12, V))}`)
  expect(joined(await chunks(asked)).map(({ text }) => text)).toEqual(choices.map(({ text }) => text))
})

it('token ids come where vLLM has them', async () => {
  await start()
  const expected = greedyResponse(prompt, 12, V)
  const completion = await answer({ ...greedy, return_token_ids: true })
  expect(completion.choices[0]).toMatchObject({ token_ids: expected, prompt_token_ids: prompt })
  expect(completion.plateau?.token_ids).toEqual(expected)
  const conversation = await chat({ return_token_ids: true })
  expect(conversation.prompt_token_ids).toEqual(tokenizer.encode('user: Hi\nassistant:'))
  expect(conversation.choices[0]!.token_ids).toHaveLength(12)
  const [firstChunk, ...further] = await chunks({ ...greedy, return_token_ids: true })
  expect(firstChunk!.choices[0]!.prompt_token_ids).toEqual(prompt)
  for (const chunk of further) expect(chunk.choices[0]!.prompt_token_ids).toBeUndefined()
})

it('counts so far come with every chunk where asked, and else at the end only', async () => {
  await start()
  const options = { include_usage: true, continuous_usage_stats: true }
  const counted = await chunks({ ...greedy, stream_options: options })
  const totals = counted.map(({ usage }) => usage!.completion_tokens)
  expect(totals).toEqual(totals.toSorted((a, b) => a - b))
  expect([totals[0], totals.at(-1)]).toEqual([1, 12])
  const once = await chunks({ ...greedy, stream_options: { include_usage: true } })
  expect(once.slice(0, -1).every(({ usage }) => usage === null)).toBe(true)
  expect((await chunks(greedy)).every((chunk) => !('usage' in chunk))).toBe(true)
})

describe('what a response says of its own speculation', () => {
  // The answer stands in the prompt already: copies of it are proposed, and accepted.
  const repeating = { prompt: [5, ...greedyResponse([5], 100, V), 5], temperature: 0, max_tokens: 100 }

  it('is vLLM’s block, and its counts are the counters’', async () => {
    await start({ PLATEAU_REQUEST_METRICS: 'detailed' })
    const { metrics, plateau } = await answer(repeating)
    const block = metrics!.speculative_decoding as Record<string, number> & {
      acceptance_histogram: number[]
      per_step_drafted: number[]
    }
    expect(block).toMatchObject({ num_spec_tokens: 8, num_draft_tokens: expect.any(Number) })
    expect(block.acceptance_histogram).toHaveLength(9)
    expect(block['num_spec_steps']).toBeGreaterThan(0)
    expect(block['num_draft_tokens']).toBe((plateau as unknown as { num_lookup_tokens: number }).num_lookup_tokens)
    expect(block.per_step_drafted).toHaveLength(block['num_spec_steps']!)
    const scraped = await (await fetch(`${fixture!.url}/metrics`)).text()
    const total = /plateau_spec_decode_num_drafts_total\{[^}]*\} (\d+)/.exec(scraped)?.[1]
    expect(Number(total ?? 0)).toBe(block['num_spec_steps'])
  })

  it('comes with the usage of a stream, is null for several choices, and can be switched off', async () => {
    await start()
    const streamed = await chunks({ ...repeating, stream_options: { include_usage: true } })
    expect(streamed.at(-1)!.metrics?.speculative_decoding).toHaveProperty('mean_acceptance_length')
    expect(streamed.at(-1)!.metrics?.speculative_decoding).not.toHaveProperty('per_step_accepted')
    expect(streamed.at(-2)).not.toHaveProperty('metrics')
    expect((await answer({ ...greedy, n: 2 })).metrics).toEqual({ speculative_decoding: null })
    await fixture!.close()
    await start({ PLATEAU_REQUEST_METRICS: 'none' })
    expect(await answer(greedy)).not.toHaveProperty('metrics')
    await fixture!.close()
    await start({ PLATEAU_SPECULATION: 'off' })
    expect((await answer(greedy)).metrics).toEqual({ speculative_decoding: null })
  })
})

describe('beside completions', () => {
  it('answers no other page: a browser is told of no origin that may read', async () => {
    const { url } = await start()
    const origin = 'https://elsewhere.example'
    const asked = [
      await fetch(`${url}/v1/models`, { headers: { origin } }),
      await fetch(`${url}/v1/completions`, {
        method: 'OPTIONS',
        headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization' },
      }),
    ]
    const allowed = asked.flatMap(({ headers }) =>
      [...headers.keys()].filter((name) => name.startsWith('access-control')),
    )
    expect([asked.map(({ status }) => status), allowed]).toEqual([[200, 405], []])
  })

  it('models tell their length, and tokens are converted both ways', async () => {
    const { url } = await start()
    const model = { id: 'tiny-target', object: 'model', max_model_len: 256 }
    const get = async (path: string) => (await fetch(`${url}${path}`)).json()
    expect(await get('/v1/models')).toMatchObject({ object: 'list', data: [model] })
    expect(await get('/v1/models/tiny-target')).toMatchObject(model)
    expect((await fetch(`${url}/v1/models/other`)).status).toBe(404)
    // No percent-encoded text: found by `npm run fuzz`, answered with 500.
    expect((await fetch(`${url}/v1/models/%`)).status).toBe(404)
    expect(await get('/version')).toEqual({ version: expect.stringMatching(/^\d+\.\d+\.\d+/) })
    const tokens = await (await post('/tokenize', { prompt: 'Mr. Speaker' })).json()
    expect(tokens).toMatchObject({ count: prompt.length, max_model_len: 256, tokens: prompt })
    expect(await (await post('/detokenize', { tokens: prompt })).json()).toEqual({ prompt: 'Mr. Speaker' })
  })

  it('health is 200 with a target and 503 without', async () => {
    const { url } = await start()
    const health = await fetch(`${url}/health`)
    expect([health.status, await health.text()]).toEqual([200, ''])
    await fixture!.close()
    fixture = await startServingFixture({}, { target: 'none' })
    expect((await fetch(`${fixture.url}/health`)).status).toBe(503)
  })

  it('metrics have vLLM’s names only where asked', async () => {
    const { url } = await start({ PLATEAU_METRIC_ALIASES: 'vllm' })
    await answer(greedy)
    const scraped = await (await fetch(`${url}/metrics`)).text()
    expect(scraped).toContain('vllm:generation_tokens_total{model_name="tiny-target",engine="0"} 12')
    expect(scraped).toContain(
      'vllm:request_success_total{model_name="tiny-target",engine="0",finished_reason="length"} 1',
    )
    expect(scraped).toContain('# TYPE vllm:time_to_first_token_seconds histogram')
    await fixture!.close()
    await start()
    expect(await (await fetch(`${fixture!.url}/metrics`)).text()).not.toContain('vllm:')
  })
})

describe('limits', () => {
  it('of lengths are said with the field', async () => {
    await start({ PLATEAU_MAX_TOKENS: '10', PLATEAU_MAX_PROMPT_TOKENS: '8' })
    expect((await answer({ ...greedy, max_tokens: 11 })).error).toMatchObject({ param: 'max_tokens' })
    expect((await answer({ ...greedy, prompt: Array(9).fill(5) })).error).toMatchObject({ param: 'prompt' })
    // What is not asked for is as much as fits, and no more than that.
    const short = { messages: [{ role: 'user', content: 'a' }] }
    expect((await answer(short, '/v1/chat/completions')).usage!.completion_tokens).toBe(10)
    expect((await answer({ ...greedy, max_tokens: 10, prompt: [5] })).usage!.completion_tokens).toBe(10)
  })

  it('a request that has waited for as long as one may is told to come back', async () => {
    const hold = Promise.withResolvers<void>()
    const limits = { PLATEAU_MAX_CONCURRENT: '1', PLATEAU_MAX_QUEUE_SECONDS: '0.05' }
    await start(limits, { target: { beforeVerdict: () => hold.promise } })
    const running = answer(greedy)
    await until(async () => (await (await fetch(`${fixture!.url}/metrics`)).text()).includes('requests_running 1'))
    const refused = await post('/v1/completions', greedy)
    const { error } = (await refused.json()) as Answer
    expect([refused.status, refused.headers.get('retry-after'), error?.type, error?.code]).toEqual([
      429,
      '1',
      'rate_limit_error',
      'rate_limit_exceeded',
    ])
    hold.resolve()
    expect((await running).usage!.completion_tokens).toBe(12)
  })

  it('a client that sends its body too slowly is not waited for, and one with too many headers is not heard', async () => {
    const { url } = await start({ PLATEAU_CLIENT_STALL_SECONDS: '0.05' })
    const body = new ReadableStream({ start: (controller) => controller.enqueue(Buffer.from('{"prompt":')) })
    const slow = await fetch(`${url}/v1/completions`, { method: 'POST', body, duplex: 'half' } as RequestInit)
    expect(slow.status).toBe(408)
    const headers = Object.fromEntries(Array.from({ length: 101 }, (_, i) => [`x-${i}`, 'a']))
    expect((await fetch(`${url}/v1/models`, { headers })).status).toBe(431)
    expect((await answer(greedy)).usage!.completion_tokens).toBe(12)
  })

  it('a target that falls silent ends the response, and requests work again when it speaks', async () => {
    let silent: Promise<void> | undefined
    const beforeVerdict = async (round: number) => (round < 3 ? undefined : silent)
    const { url } = await start({ PLATEAU_TARGET_STALL_SECONDS: '0.1' }, { target: { beforeVerdict } })
    const speak = Promise.withResolvers<void>()
    silent = speak.promise
    for (const speculation of [true, false]) {
      const plateau = { disable_speculation: !speculation }
      const whole = await post('/v1/completions', { ...greedy, plateau })
      expect(whole.status).toBe(503)
      expect(((await whole.json()) as Answer).error?.message).toContain('has said nothing for 0.1 s')
      await until(async () => (await fetch(`${url}/readyz`)).ok)
      const streamed = await (await post('/v1/completions', { ...greedy, plateau, stream: true })).text()
      expect(streamed).toContain('has said nothing for 0.1 s')
      expect(streamed).not.toContain('[DONE]')
      await until(async () => (await fetch(`${url}/readyz`)).ok)
    }
    speak.resolve()
    silent = undefined
    expect((await answer(greedy)).usage!.completion_tokens).toBe(12)
  })
})
