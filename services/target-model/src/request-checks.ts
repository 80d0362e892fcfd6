/** Requests, parsed at the edge: past these functions every number is in range. Errors name the field. */
import { FloatFormat, PlateauError, unpackTopK, type target, type TopK } from '@plateau/contracts'
import {
  checkProposal,
  checkRawDistribution,
  type LogitProcessing,
  type Proposal,
  type Sampling,
  type SparseDistribution,
} from '@plateau/speculation'

export interface RequestLimits {
  readonly vocabSize: number
  readonly maxContext: number
  readonly maxProposal: number
}

export interface ResponsePlan {
  readonly prompt: readonly number[]
  /** Without the processors, which belong to one response. */
  readonly sampling: Sampling
  readonly processing: LogitProcessing
  /** 0: no log probabilities; n: the emitted token's and those of the n - 1 most probable ones. */
  readonly logprobs: number
  readonly seed: number
  /** Longest response: what was asked for, cut to what the context still holds. */
  readonly maxTokens: number
  readonly stopTokenIds: ReadonlySet<number>
}

/** Beyond this a temperature is a mistake; every distribution is uniform long before. */
const MAX_TEMPERATURE = 100
/** Presence and frequency, either way. */
const MAX_PENALTY = 2
const MAX_REPETITION_PENALTY = 100
const MAX_LOGIT_BIAS = 100
const MAX_LOGPROBS = 21

export function checkResponsePlan(
  request: { readonly promptTokenIds: number[]; readonly sampling: target.SamplingParams | undefined },
  limits: RequestLimits,
  eosTokenIds: readonly number[],
): ResponsePlan {
  const { sampling } = request
  checkPrompt(request.promptTokenIds, limits)
  if (!sampling) throw invalid('sampling', 'is missing')
  const { temperature, topP, maxTokens } = sampling
  if (!(temperature >= 0 && temperature <= MAX_TEMPERATURE)) {
    throw invalid('sampling.temperature', `must be from 0 to ${MAX_TEMPERATURE}, not ${temperature}`)
  }
  if (!(topP >= 0 && topP <= 1)) throw invalid('sampling.top_p', `must be from 0 to 1, not ${topP}`)
  if (maxTokens < 1) throw invalid('sampling.max_tokens', `must be at least 1, not ${maxTokens}`)
  checkTokenIds('sampling.stop_token_ids', sampling.stopTokenIds, limits)
  checkProcessing(sampling, limits)
  if (sampling.logprobs > MAX_LOGPROBS) {
    throw invalid('sampling.logprobs', `must be at most ${MAX_LOGPROBS}, not ${sampling.logprobs}`)
  }
  return {
    prompt: request.promptTokenIds,
    sampling: { temperature, topK: sampling.topK, topP: topP === 0 ? 1 : topP },
    processing: sampling,
    logprobs: sampling.logprobs,
    seed: sampling.seed,
    maxTokens: Math.min(maxTokens, limits.maxContext - request.promptTokenIds.length),
    stopTokenIds: new Set([...sampling.stopTokenIds, ...(sampling.ignoreEos ? [] : eosTokenIds)]),
  }
}

function checkProcessing(processing: LogitProcessing, { vocabSize }: RequestLimits): void {
  const within = (field: string, value: number, least: number, most: number): void => {
    if (!(value >= least && value <= most)) {
      throw invalid(`sampling.${field}`, `must be from ${least} to ${most}, not ${value}`)
    }
  }
  within('presence_penalty', processing.presencePenalty, -MAX_PENALTY, MAX_PENALTY)
  within('frequency_penalty', processing.frequencyPenalty, -MAX_PENALTY, MAX_PENALTY)
  within('repetition_penalty', processing.repetitionPenalty, 0, MAX_REPETITION_PENALTY)
  for (const [id, bias] of Object.entries(processing.logitBias)) {
    if (Number(id) >= vocabSize) {
      throw invalid(`sampling.logit_bias[${id}]`, `is for a token outside the vocabulary of ${vocabSize}`)
    }
    within(`logit_bias[${id}]`, bias, -MAX_LOGIT_BIAS, MAX_LOGIT_BIAS)
  }
}

/** A prompt that leaves room for at least one token. */
export function checkPrompt(ids: readonly number[], limits: RequestLimits): void {
  if (ids.length === 0) throw invalid('prompt_token_ids', 'must hold at least one token')
  if (ids.length >= limits.maxContext) {
    throw invalid('prompt_token_ids', `has ${ids.length} tokens; at most ${limits.maxContext - 1} fit`)
  }
  checkTokenIds('prompt_token_ids', ids, limits)
}

export function checkResponseTokens(
  prompt: readonly number[],
  response: readonly number[],
  limits: RequestLimits,
): void {
  if (response.length === 0) throw invalid('response_token_ids', 'must hold at least one token')
  if (prompt.length + response.length > limits.maxContext) {
    const total = prompt.length + response.length
    throw invalid('response_token_ids', `makes ${total} tokens with the prompt; at most ${limits.maxContext} fit`)
  }
  checkTokenIds('response_token_ids', response, limits)
}

/** Names travel in every window; this leaves room for the numbers. */
const MAX_NAME_CHARACTERS = 200

export function checkCapture(capture: target.Capture | undefined): void {
  if (!capture?.consent) return
  if (capture.sampleId === '') throw invalid('capture.sample_id', 'must be set where capture is consented to')
  const names = { sample_id: capture.sampleId, tenant: capture.tenant, domain: capture.domain }
  for (const [name, { length }] of Object.entries(names)) {
    if (length > MAX_NAME_CHARACTERS) {
      throw invalid(`capture.${name}`, `has ${length} characters; at most ${MAX_NAME_CHARACTERS} are taken`)
    }
  }
}

/** A client that has gone is noticed after so many rounds at the latest. */
const MAX_PLAIN_ROUNDS = 64

/** Drafts that one round may be judged for beside its own. */
const MAX_SHADOWS = 8

/** What a client asks of one round. */
export interface RoundRequest extends Proposal {
  /** Raw q of other drafts for the round's first position, one each. */
  readonly shadowQ: readonly SparseDistribution[]
}

/** A proposal with its distributions unpacked: rows without the zeros that fill up a packed row. */
export function checkSpeculateProposal(
  proposal: target.SpeculateProposal,
  sampling: Sampling,
  limits: RequestLimits,
): RoundRequest {
  const { tokenIds: tokens } = proposal
  if (tokens.length > limits.maxProposal) {
    throw invalid('proposal.token_ids', `has ${tokens.length} tokens; at most ${limits.maxProposal} are verified`)
  }
  checkTokenIds('proposal.token_ids', tokens, limits)
  if (proposal.plainRounds > MAX_PLAIN_ROUNDS) {
    throw invalid('proposal.plain_rounds', `is ${proposal.plainRounds}; at most ${MAX_PLAIN_ROUNDS} run at once`)
  }
  const q = unpackRows('proposal.q', proposal.q, tokens.length, limits)
  const rawQ = unpackRows('proposal.raw_q', proposal.rawQ, tokens.length, limits)
  const shadowQ = shadowRows('proposal.shadow_q', proposal.shadowQ, limits)
  if (sampling.temperature === 0 && q.length > 0) throw invalid('proposal.q', 'must be empty at temperature 0')
  if (sampling.temperature > 0 && q.length < tokens.length) {
    throw invalid(
      'proposal.q',
      `is missing for ${tokens.length} proposed tokens at temperature ${sampling.temperature}`,
    )
  }
  try {
    checkProposal(tokens, q)
  } catch (cause) {
    throw invalid('proposal.q', `does not fit its tokens: ${(cause as Error).message}`, cause)
  }
  return { tokens, q, rawQ, shadowQ }
}

function unpackRows(
  field: string,
  packed: TopK | undefined,
  rows: number,
  limits: RequestLimits,
): SparseDistribution[] {
  if (!packed || packed.positions === 0) return []
  if (packed.positions !== rows) throw invalid(field, `has ${packed.positions} rows for ${rows} proposed tokens`)
  return unpack(field, packed, limits)
}

function shadowRows(field: string, packed: TopK | undefined, limits: RequestLimits): SparseDistribution[] {
  if (!packed || packed.positions === 0) return []
  if (packed.positions > MAX_SHADOWS) {
    throw invalid(field, `has ${packed.positions} rows; at most ${MAX_SHADOWS} are judged`)
  }
  const rows = unpack(field, packed, limits)
  for (const [i, row] of rows.entries()) {
    try {
      checkRawDistribution(row)
    } catch (cause) {
      throw invalid(field, `${(cause as Error).message} (row ${i})`, cause)
    }
  }
  return rows
}

function unpack(field: string, packed: TopK, limits: RequestLimits): SparseDistribution[] {
  if (packed.format !== FloatFormat.FLOAT_FORMAT_FP32) throw invalid(field, 'must be FP32')
  checkTokenIds(field, packed.ids, limits)
  let probs: Float32Array
  try {
    probs = unpackTopK(packed)
  } catch (cause) {
    throw invalid(field, `is not packed as it says: ${(cause as Error).message}`, cause)
  }
  return Array.from({ length: packed.positions }, (_, row) => {
    const start = row * packed.k
    let end = start + packed.k
    while (end > start && probs[end - 1] === 0) end--
    return { ids: packed.ids.slice(start, end), probs: probs.subarray(start, end) }
  })
}

function checkTokenIds(field: string, ids: readonly number[], { vocabSize }: RequestLimits): void {
  const wrong = ids.findIndex((id) => id >= vocabSize)
  if (wrong >= 0) throw invalid(`${field}[${wrong}]`, `is ${ids[wrong]}, outside the vocabulary of ${vocabSize}`)
}

export function invalid(field: string, problem: string, cause?: unknown): PlateauError {
  return new PlateauError('INVALID_ARGUMENT', `${field} ${problem}`, { facts: { field }, cause })
}
