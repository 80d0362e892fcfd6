import type { ChatMessage, Tokenizer } from '@plateau/model-files'
import { badRequest, unknownModel } from '../request-errors.js'
import type { GenerationRequest } from '../serving-engine.js'
import type { ChatPrompts } from './chat-prompt.js'
import { FieldReader } from './field-reader.js'

export type Endpoint = 'completions' | 'chat'

export interface OpenAiRequest {
  readonly endpoint: Endpoint
  readonly generation: GenerationRequest
  readonly stream: boolean
  /** stream_options.include_usage: a last chunk with the token counts. */
  readonly includeUsage: boolean
  readonly returnTokenIds: boolean
}

export interface ParseOptions {
  readonly model: string
  readonly tokenizer: Tokenizer
  /** x-plateau-tenant, which a gateway sets, goes before the body's `user`. */
  readonly tenantHeader: string | undefined
  readonly chat: ChatPrompts
}

const MAX_STOPS = 16
const MAX_STOP_LENGTH = 256
const MAX_NAME_LENGTH = 256
/** OpenAI's default for completions. Chats default to what fits. */
const COMPLETION_TOKENS = 16

/** The body of a completion or chat request, checked. Throws INVALID_ARGUMENT or NOT_FOUND naming the field. */
export function parseRequest(endpoint: Endpoint, body: unknown, options: ParseOptions): OpenAiRequest {
  const fields = new FieldReader(body)
  const model = fields.text('model', MAX_NAME_LENGTH)
  if (model !== undefined && model !== options.model) throw unknownModel(model, options.model)

  const promptTokenIds = endpoint === 'chat' ? chatPrompt(fields, options) : completionPrompt(fields, options.tokenizer)
  const length = maxTokens(fields, endpoint)
  const sampling = {
    temperature: fields.number('temperature', { min: 0, max: 2 }) ?? 1,
    topK: topK(fields),
    topP: topP(fields),
    seed: fields.number('seed', { min: 0, max: Number.MAX_SAFE_INTEGER, whole: true }),
    maxTokens: length.value,
    stopTokenIds: stopTokenIds(fields, endpoint, options),
    ignoreEos: fields.flag('ignore_eos') ?? false,
    presencePenalty: 0,
    frequencyPenalty: 0,
    repetitionPenalty: 0,
    logitBias: {},
    logprobs: 0,
  }
  const stop = stops(fields)
  const stream = fields.flag('stream') ?? false
  const streamOptions = fields.object('stream_options')
  const includeUsage = streamOptions?.flag('include_usage') ?? false
  streamOptions?.ignore('include_obfuscation')
  streamOptions?.done()
  const user = fields.text('user', MAX_NAME_LENGTH)
  const plateau = fields.object('plateau')
  const domain = plateau?.text('domain', MAX_NAME_LENGTH) ?? ''
  const speculate = !(plateau?.flag('disable_speculation') ?? false)
  const capture = plateau?.flag('capture') ?? true
  const returnTokenIds = [plateau?.flag('return_token_ids'), fields.flag('return_token_ids')].includes(true)
  plateau?.done()
  refuseUnsupported(fields)
  fields.done()

  const tenant = options.tenantHeader ?? user ?? ''
  const names = { prompt: endpoint === 'chat' ? 'messages' : 'prompt', maxTokens: length.field }
  const generation = { promptTokenIds, sampling, stop, tenant, domain, speculate, capture, fields: names }
  return { endpoint, generation, stream, includeUsage, returnTokenIds }
}

function completionPrompt(fields: FieldReader, tokenizer: Tokenizer): number[] {
  const value = fields.take('prompt')
  const prompt =
    Array.isArray(value) && value.length === 1 && typeof value[0] === 'string' ? (value[0] as string) : value
  if (typeof prompt === 'string') return tokenizer.encode(prompt)
  if (prompt === undefined) throw badRequest('prompt', 'prompt is missing')
  return checkTokenIds(prompt, 'prompt', tokenizer, 'prompt must be one string or one list of token ids')
}

function chatPrompt(fields: FieldReader, { chat }: ParseOptions): number[] {
  const value = fields.take('messages')
  if (!Array.isArray(value) || value.length === 0)
    throw badRequest('messages', 'messages must be a list of at least one message')
  return chat.encode(value.map((message, i) => chatMessage(message, `messages[${i}]`)))
}

function chatMessage(value: unknown, path: string): ChatMessage {
  const fields = new FieldReader(value, path)
  const role = fields.text('role', MAX_NAME_LENGTH)
  if (role === undefined) throw badRequest(`${path}.role`, `${path}.role is missing`)
  const content = messageText(fields.take('content'), `${path}.content`)
  fields.ignore('name')
  fields.done()
  return { role, content }
}

/** A string, or OpenAI's list of parts, of which only text is understood. */
function messageText(value: unknown, path: string): string {
  if (typeof value === 'string') return value
  if (!Array.isArray(value)) throw badRequest(path, `${path} must be a string or a list of text parts`)
  return value
    .map((part, i) => {
      const fields = new FieldReader(part, `${path}[${i}]`)
      fields.only('type', ['text'], 'only text can be read')
      const text = fields.text('text', Number.MAX_SAFE_INTEGER)
      if (text === undefined) throw badRequest(`${path}[${i}].text`, `${path}[${i}].text is missing`)
      fields.done()
      return text
    })
    .join('')
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

function topP(fields: FieldReader): number {
  const value = fields.number('top_p', { min: 0, max: 1 }) ?? 1
  if (value === 0) throw badRequest('top_p', 'top_p must be above 0')
  return value
}

function stops(fields: FieldReader): string[] {
  const value = fields.take('stop')
  const list: unknown = value === undefined ? [] : typeof value === 'string' ? [value] : value
  const valid = (stop: unknown): boolean =>
    typeof stop === 'string' && stop.length > 0 && stop.length <= MAX_STOP_LENGTH
  if (!Array.isArray(list) || list.length > MAX_STOPS || !list.every(valid)) {
    throw badRequest(
      'stop',
      `stop must be a string or a list of up to ${MAX_STOPS}, each of 1 to ${MAX_STOP_LENGTH} characters`,
    )
  }
  return list as string[]
}

/** Those asked for, and in a chat what ends the assistant's turn. */
function stopTokenIds(fields: FieldReader, endpoint: Endpoint, { tokenizer, chat }: ParseOptions): number[] {
  const asked = tokenIds(fields, 'stop_token_ids', tokenizer) ?? []
  return endpoint === 'completions' || fields.flag('ignore_eos') === true ? asked : [...asked, ...chat.endOfTurn]
}

function tokenIds(fields: FieldReader, name: string, tokenizer: Tokenizer): number[] | undefined {
  const value = fields.take(name)
  return value === undefined ? undefined : checkTokenIds(value, name, tokenizer, `${name} must be a list of token ids`)
}

function checkTokenIds(value: unknown, name: string, tokenizer: Tokenizer, rule: string): number[] {
  if (!Array.isArray(value)) throw badRequest(name, rule)
  const wrong = value.findIndex(
    (id) => !Number.isInteger(id) || (id as number) < 0 || (id as number) >= tokenizer.vocabSize,
  )
  if (wrong >= 0) throw badRequest(name, `${rule}, each from 0 to ${tokenizer.vocabSize - 1}; item ${wrong} is not`)
  return value as number[]
}

function refuseUnsupported(fields: FieldReader): void {
  fields.only('n', [1], 'one choice per request')
  fields.only('best_of', [1], 'one choice per request')
  fields.only('echo', [false], 'the prompt is not returned')
  fields.only('logprobs', [false], 'log probabilities are not returned')
  fields.only('top_logprobs', [0], 'log probabilities are not returned')
  fields.only('suffix', [''], 'text is only continued, not filled in')
  for (const penalty of ['presence_penalty', 'frequency_penalty'])
    fields.only(penalty, [0], 'sampling is from the model itself')
  fields.only('logit_bias', [], 'sampling is from the model itself')
  for (const tool of ['tools', 'tool_choice', 'functions', 'function_call', 'response_format']) {
    fields.only(tool, ['none'], 'only plain text is generated')
  }
  fields.ignore('metadata', 'store', 'service_tier', 'safety_identifier', 'prompt_cache_key')
}
