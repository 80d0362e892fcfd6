import type { Tokenizer } from '@plateau/model-files'
import { badRequest } from '../request-errors.js'
import type { GenerationRequest } from '../serving-engine.js'
import type { FieldReader } from './field-reader.js'
import type { Endpoint } from './parse-request.js'
import { checkTokenIds } from './token-ids.js'

export interface SamplingFields {
  readonly sampling: GenerationRequest['sampling']
  /** Most probable tokens to show at each position; undefined: no log probabilities. */
  readonly topLogProbs: number | undefined
  /** The field that holds the length, for errors. */
  readonly maxTokensField: string
}

const MAX_STOP_TOKENS = 16
const MAX_BIASED_TOKENS = 300
const MAX_TOP_LOG_PROBS = 20
/** OpenAI's default for completions. Chats default to what fits. */
const COMPLETION_TOKENS = 16

/** How tokens are drawn, by OpenAI's fields and those that vLLM adds. `endOfTurn`: what ends a chat's answer. */
export function samplingFields(
  fields: FieldReader,
  endpoint: Endpoint,
  { tokenizer, endOfTurn }: { readonly tokenizer: Tokenizer; readonly endOfTurn: readonly number[] },
): SamplingFields {
  const length = maxTokens(fields, endpoint)
  const ignoreEos = fields.flag('ignore_eos') ?? false
  const asked = stopTokenIds(fields, tokenizer)
  const topLogProbs = endpoint === 'chat' ? chatLogProbs(fields) : completionLogProbs(fields)
  return {
    maxTokensField: length.field,
    topLogProbs,
    sampling: {
      temperature: fields.number('temperature', { min: 0, max: 2 }) ?? 1,
      topK: topK(fields),
      topP: aboveZero(fields, 'top_p', 1) ?? 1,
      seed: fields.number('seed', { min: 0, max: Number.MAX_SAFE_INTEGER, whole: true }),
      maxTokens: length.value,
      stopTokenIds: endpoint === 'completions' || ignoreEos ? asked : [...asked, ...endOfTurn],
      ignoreEos,
      presencePenalty: fields.number('presence_penalty', { min: -2, max: 2 }) ?? 0,
      frequencyPenalty: fields.number('frequency_penalty', { min: -2, max: 2 }) ?? 0,
      repetitionPenalty: aboveZero(fields, 'repetition_penalty', 2) ?? 0,
      logitBias: logitBias(fields, tokenizer),
      // The contract counts the emitted token itself.
      logprobs: topLogProbs === undefined ? 0 : topLogProbs + 1,
    },
  }
}

function maxTokens(
  fields: FieldReader,
  endpoint: Endpoint,
): { readonly field: string; readonly value: number | undefined } {
  const bounds = { min: 1, max: 1_000_000, whole: true }
  const value = fields.number('max_tokens', bounds)
  const newer = endpoint === 'chat' ? fields.number('max_completion_tokens', bounds) : undefined
  if (newer !== undefined) return { field: 'max_completion_tokens', value: newer }
  return { field: 'max_tokens', value: value ?? (endpoint === 'chat' ? undefined : COMPLETION_TOKENS) }
}

/** 0 and vLLM's -1 both mean all. */
function topK(fields: FieldReader): number {
  return Math.max(0, fields.number('top_k', { min: -1, max: 1_000_000, whole: true }) ?? 0)
}

function aboveZero(fields: FieldReader, name: string, max: number): number | undefined {
  const value = fields.number(name, { min: 0, max })
  if (value === 0) throw badRequest(name, `${name} must be above 0`)
  return value
}

function stopTokenIds(fields: FieldReader, tokenizer: Tokenizer): number[] {
  const value = fields.take('stop_token_ids')
  const rule = `stop_token_ids must be a list of up to ${MAX_STOP_TOKENS} token ids`
  const ids = value === undefined ? [] : checkTokenIds(value, 'stop_token_ids', tokenizer, rule)
  if (ids.length > MAX_STOP_TOKENS) throw badRequest('stop_token_ids', rule)
  return ids
}

/** {"50256": -100}: by token id, as text because JSON's names are. */
function logitBias(fields: FieldReader, tokenizer: Tokenizer): Record<number, number> {
  const value = fields.take('logit_bias')
  if (value === undefined) return {}
  const rule = `logit_bias must be an object of up to ${MAX_BIASED_TOKENS} token ids, each with a number from -100 to 100`
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw badRequest('logit_bias', rule)
  const entries = Object.entries(value)
  if (entries.length > MAX_BIASED_TOKENS) throw badRequest('logit_bias', rule)
  for (const [id, bias] of entries) {
    if (!/^\d{1,10}$/.test(id) || Number(id) >= tokenizer.vocabSize)
      throw badRequest('logit_bias', `${rule}; ${JSON.stringify(id.slice(0, 20))} is no token id of this model`)
    if (typeof bias !== 'number' || !(bias >= -100 && bias <= 100))
      throw badRequest('logit_bias', `${rule}; that of ${id} is not`)
  }
  return Object.fromEntries(entries.map(([id, bias]) => [Number(id), bias as number]))
}

/** Chats switch them on with one field and say how many with another. */
function chatLogProbs(fields: FieldReader): number | undefined {
  const wanted = fields.flag('logprobs') ?? false
  const top = fields.number('top_logprobs', { min: 0, max: MAX_TOP_LOG_PROBS, whole: true })
  if (!wanted && top !== undefined && top > 0)
    throw badRequest('top_logprobs', 'top_logprobs needs logprobs to be true')
  return wanted ? (top ?? 0) : undefined
}

function completionLogProbs(fields: FieldReader): number | undefined {
  return fields.number('logprobs', { min: 0, max: MAX_TOP_LOG_PROBS, whole: true })
}
