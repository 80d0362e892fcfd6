import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PlateauError, target } from '@plateau/contracts'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadTarget, type TargetOptions } from './target.js'
import {
  consent,
  context,
  loadTiny,
  pack,
  sampled,
  speculate,
  writeTinyModel,
  type Draft,
  type Loaded,
} from './testing.js'

let tiny: Loaded
beforeAll(async () => {
  tiny = await loadTiny()
})
afterAll(() => tiny.close())

const prompt = [5, 2]
const caught = (work: Promise<unknown>) => work.catch((error: unknown) => error)

describe('a request that cannot be served names its field and takes no place', () => {
  const request = (change: Partial<target.GenerateRequest>): target.GenerateRequest => ({
    promptTokenIds: prompt,
    sampling: sampled(),
    capture: undefined,
    ...change,
  })

  it.each<[string, string, Partial<target.GenerateRequest>]>([
    ['prompt_token_ids', 'at least one token', { promptTokenIds: [] }],
    ['prompt_token_ids', 'has 96 tokens; at most 95 fit', { promptTokenIds: Array<number>(96).fill(1) }],
    ['prompt_token_ids[1]', 'is 24, outside the vocabulary of 24', { promptTokenIds: [1, 24] }],
    ['sampling', 'is missing', { sampling: undefined }],
    ['sampling.temperature', 'from 0 to 100, not -1', { sampling: sampled({ temperature: -1 }) }],
    ['sampling.temperature', 'not NaN', { sampling: sampled({ temperature: Number.NaN }) }],
    ['sampling.temperature', 'not Infinity', { sampling: sampled({ temperature: Number.POSITIVE_INFINITY }) }],
    ['sampling.top_p', 'from 0 to 1, not 1.5', { sampling: sampled({ topP: 1.5 }) }],
    ['sampling.top_p', 'not NaN', { sampling: sampled({ topP: Number.NaN }) }],
    ['sampling.max_tokens', 'at least 1', { sampling: sampled({ maxTokens: 0 }) }],
    ['sampling.stop_token_ids[0]', 'is 99', { sampling: sampled({ stopTokenIds: [99] }) }],
    ['sampling.presence_penalty', 'from -2 to 2, not 2.5', { sampling: sampled({ presencePenalty: 2.5 }) }],
    ['sampling.frequency_penalty', 'from -2 to 2, not -3', { sampling: sampled({ frequencyPenalty: -3 }) }],
    ['sampling.frequency_penalty', 'not NaN', { sampling: sampled({ frequencyPenalty: Number.NaN }) }],
    ['sampling.repetition_penalty', 'from 0 to 100, not -1', { sampling: sampled({ repetitionPenalty: -1 }) }],
    ['sampling.repetition_penalty', 'not Infinity', { sampling: sampled({ repetitionPenalty: Infinity }) }],
    ['sampling.logit_bias[24]', 'outside the vocabulary of 24', { sampling: sampled({ logitBias: { 24: 1 } }) }],
    ['sampling.logit_bias[3]', 'from -100 to 100, not 101', { sampling: sampled({ logitBias: { 2: 1, 3: 101 } }) }],
    ['sampling.logit_bias[3]', 'not NaN', { sampling: sampled({ logitBias: { 3: Number.NaN } }) }],
    ['sampling.logprobs', 'at most 21, not 22', { sampling: sampled({ logprobs: 22 }) }],
    ['capture.sample_id', 'must be set', { capture: consent('') }],
    ['capture.sample_id', 'has 201 characters', { capture: consent('x'.repeat(201)) }],
    ['capture.tenant', 'has 300 characters', { capture: { ...consent('s'), tenant: 'x'.repeat(300) } }],
  ])('%s %s', async (field, sentence, change) => {
    const error = await caught(tiny.calls.generate(request(change), context()).next())
    expect(error).toBeInstanceOf(PlateauError)
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', facts: { field }, retryable: false })
    expect(String(error)).toContain(sentence)
    expect(tiny.target.decoder.openSequences).toBe(0)
  })

  it.each([
    ['response_token_ids', { promptTokenIds: [1], responseTokenIds: [] }],
    ['response_token_ids', { promptTokenIds: Array<number>(50).fill(1), responseTokenIds: Array<number>(47).fill(1) }],
    ['response_token_ids[0]', { promptTokenIds: [1], responseTokenIds: [24] }],
    ['prompt_token_ids', { promptTokenIds: [], responseTokenIds: [1] }],
  ])('Score: %s', async (field, scoreRequest) => {
    expect(await caught(tiny.calls.score(scoreRequest, context()))).toMatchObject({ facts: { field } })
  })
})

describe('a proposal that cannot be verified names what is wrong with it', () => {
  const q = (...ids: number[]) => ({ ids, probs: ids.map(() => 1 / ids.length) })

  it.each<[string, string, ReturnType<Draft['propose']>, number]>([
    ['proposal.token_ids', 'has 7 tokens; at most 6', { tokens: [1, 1, 1, 1, 1, 1, 1] }, 0],
    ['proposal.token_ids[0]', 'is 24', { tokens: [24] }, 0],
    ['proposal.q', 'is missing for 1', { tokens: [1] }, 1],
    ['proposal.q', 'has 1 rows for 2', { tokens: [1, 2], q: [q(1)] }, 1],
    ['proposal.q', 'probability 0 in its own q', { tokens: [1], q: [q(2, 3)] }, 1],
    ['proposal.q', 'sums to', { tokens: [1], q: [{ ids: [1], probs: [0.5] }] }, 1],
    ['proposal.q', 'outside [0, 1]', { tokens: [1], q: [{ ids: [1, 2], probs: [2, -1] }] }, 1],
    ['proposal.q', 'lists a token twice', { tokens: [1], q: [q(1, 1)] }, 1],
    ['proposal.q[1]', 'is 77', { tokens: [1], q: [q(1, 77)] }, 1],
    ['proposal.q', 'must be empty at temperature 0', { tokens: [1], q: [q(1)] }, 0],
    ['proposal.raw_q', 'has 1 rows for 2', { tokens: [1, 2], rawQ: [q(1)] }, 0],
    ['proposal.shadow_q', 'has 9 rows; at most 8', { tokens: [], shadowQ: Array(9).fill(q(1)) }, 0],
    ['proposal.shadow_q[1]', 'is 77', { tokens: [], shadowQ: [q(1, 77)] }, 0],
    ['proposal.shadow_q', 'sums to 2', { tokens: [], shadowQ: [q(2), { ids: [1, 2], probs: [1, 1] }] }, 0],
    ['proposal.shadow_q', 'outside [0, 1] (row 0)', { tokens: [], shadowQ: [{ ids: [1], probs: [Number.NaN] }] }, 1],
    ['proposal.shadow_q', 'lists a token twice', { tokens: [], shadowQ: [q(1, 1)] }, 1],
  ])('%s %s', async (field, sentence, proposal, temperature) => {
    const draft = { propose: () => proposal }
    const error = await caught(speculate(tiny.calls, prompt, sampled({ temperature }), draft))
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', facts: { field } })
    expect(String(error)).toContain(sentence)
    expect(tiny.target.decoder.openSequences).toBe(0)
  })

  const speculateRaw = async (messages: (target.SpeculateRequest['message'] | undefined)[]) => {
    const requests = async function* () {
      for (const message of messages) yield { message }
    }
    const verdicts = []
    for await (const verdict of tiny.calls.speculate(requests(), context())) verdicts.push(verdict)
    return verdicts
  }
  const open = target.SpeculateOpen.fromPartial({ promptTokenIds: prompt, sampling: sampled() })

  it('too many plain rounds at once', async () => {
    const value = target.SpeculateProposal.fromPartial({ plainRounds: 65 })
    const messages: target.SpeculateRequest['message'][] = [
      { $case: 'open', value: open },
      { $case: 'proposal', value },
    ]
    expect(await caught(speculateRaw(messages))).toMatchObject({ facts: { field: 'proposal.plain_rounds' } })
  })

  it.each([
    ['before open', [{ $case: 'proposal', value: target.SpeculateProposal.create() }], 'first message'],
    ['nothing at all', [undefined], 'first message'],
    [
      'a second open',
      [
        { $case: 'open', value: open },
        { $case: 'open', value: open },
      ],
      'proposals only',
    ],
  ] as [string, target.SpeculateRequest['message'][], string][])('out of turn: %s', async (_, messages, sentence) => {
    const error = await caught(speculateRaw(messages))
    expect(error).toMatchObject({ code: 'FAILED_PRECONDITION', facts: { field: 'message' } })
    expect(String(error)).toContain(sentence)
    expect(tiny.target.decoder.openSequences).toBe(0)
  })

  it('shadow rows of half precision', async () => {
    const value = target.SpeculateProposal.fromPartial({ shadowQ: { positions: 1, k: 1, ids: [1], format: 2 } })
    const messages: target.SpeculateRequest['message'][] = [
      { $case: 'open', value: open },
      { $case: 'proposal', value },
    ]
    expect(await caught(speculateRaw(messages))).toMatchObject({ facts: { field: 'proposal.shadow_q' } })
  })

  it('bytes that are not as many as the rows say', async () => {
    const packed = { ...pack([q(1, 2)])!, probabilities: Buffer.alloc(3) }
    const value = target.SpeculateProposal.fromPartial({ tokenIds: [1], q: packed })
    const error = await caught(
      speculateRaw([
        { $case: 'open', value: open },
        { $case: 'proposal', value },
      ]),
    )
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', facts: { field: 'proposal.q' } })
  })
})

describe('a model that cannot be loaded says what is wrong with which file', () => {
  const options: TargetOptions = {
    topK: 5,
    maxSequences: 1,
    maxProposal: 4,
    threads: 1,
    weights: 'int8',
    cacheBytes: 2 ** 24,
    modelCache: join(tmpdir(), 'bad-input-never-built'),
  }

  it('no such directory', async () => {
    const directory = join(tmpdir(), 'no-such-model')
    expect(await caught(loadTarget(directory, options))).toMatchObject({
      code: 'MODEL_DIRECTORY_UNKNOWN',
      facts: { directory },
    })
  })

  it('an empty directory', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'empty-model-'))
    expect(String(await caught(loadTarget(directory, options)))).toContain('config.json')
    await rm(directory, { recursive: true })
  })

  it('weights cut short, and a tensor of another shape', async () => {
    const { directory, remove } = await writeTinyModel()
    const config = join(directory, 'config.json')
    const original = await readFile(config, 'utf8')
    await writeFile(config, original.replace('"vocab_size": 24', '"vocab_size": 25'))
    const misfit = await caught(loadTarget(directory, options))
    expect(misfit).toBeInstanceOf(PlateauError)
    expect(String(misfit)).toContain('embed_tokens')
    await writeFile(config, original)
    await truncate(join(directory, 'model.safetensors'), 3000)
    const short = await caught(loadTarget(directory, options))
    expect(short).toBeInstanceOf(PlateauError)
    expect(String(short)).toContain('model.safetensors')
    await remove()
  })
})
