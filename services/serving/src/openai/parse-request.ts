import type { Tokenizer } from '@plateau/model-files'
import type { Caller } from '../access/access.js'
import { badRequest, unknownModel } from '../request-errors.js'
import type { GenerationRequest } from '../serving-engine.js'
import type { ChatPrompts } from './chat-prompt.js'
import { FieldReader, MAX_NAME_LENGTH } from './field-reader.js'
import { chatPrompt, completionPrompts, type Prompt } from './prompt-fields.js'
import { samplingFields } from './sampling-fields.js'

export type Endpoint = 'completions' | 'chat'

export interface OpenAiRequest {
  readonly endpoint: Endpoint
  readonly prompts: readonly Prompt[]
  /** Choices of each prompt. */
  readonly n: number
  /** One for each choice, prompt by prompt: choice i continues prompt floor(i / n). */
  readonly generations: readonly GenerationRequest[]
  /** Undefined: the whole answer at once. */
  readonly stream: StreamOptions | undefined
  /** The prompt's text before the answer's. */
  readonly echo: boolean
  /** Most probable tokens to show at each position; undefined: no log probabilities. */
  readonly topLogProbs: number | undefined
  readonly returnTokenIds: boolean
}

export interface StreamOptions {
  /** A last chunk with the token counts. */
  readonly includeUsage: boolean
  /** Token counts so far in every chunk, as vLLM. */
  readonly continuousUsage: boolean
}

export interface ParseOptions {
  readonly model: string
  readonly tokenizer: Tokenizer
  readonly chat: ChatPrompts
  readonly caller: Caller
  /** x-plateau-tenant, which a gateway sets: goes before the body's `user`, and behind the caller's key. */
  readonly tenantHeader: string | undefined
}

const MAX_CHOICES = 16
const MAX_STOPS = 16
const MAX_STOP_LENGTH = 256

/** The body of a completion or chat request, checked. Throws INVALID_ARGUMENT or NOT_FOUND naming the field. */
export function parseRequest(endpoint: Endpoint, body: unknown, options: ParseOptions): OpenAiRequest {
  const { tokenizer, chat, caller } = options
  const fields = new FieldReader(body)
  requireModel(fields, options.model)
  const prompts = endpoint === 'chat' ? [chatPrompt(fields, chat, tokenizer)] : completionPrompts(fields, tokenizer)
  const drawn = samplingFields(fields, endpoint, { tokenizer, endOfTurn: chat.endOfTurn })
  const { topLogProbs, sampling } = drawn
  const n = choices(fields)
  const echo = endpoint === 'completions' && (fields.flag('echo') ?? false)
  if (echo && topLogProbs !== undefined)
    throw badRequest('echo', 'echo and logprobs cannot be combined: log probabilities of the prompt are not computed')
  const stop = stops(fields)
  const stream = streamOptions(fields)
  const user = fields.text('user', MAX_NAME_LENGTH)
  const extension = plateauFields(fields)
  const returnTokenIds = [extension.returnTokenIds, fields.flag('return_token_ids')].includes(true)
  refuseUnsupported(fields)
  fields.done()

  const common = {
    operation: endpoint === 'chat' ? ('chat' as const) : ('text_completion' as const),
    stop,
    tenant: caller.tenant ?? options.tenantHeader ?? user ?? '',
    domain: extension.domain,
    speculate: extension.speculate && caller.maySpeculate,
    capture: extension.capture && caller.mayCapture,
    fields: { prompt: endpoint === 'chat' ? 'messages' : 'prompt', maxTokens: drawn.maxTokensField },
  }
  const generations = prompts.flatMap(({ tokenIds }) =>
    Array.from({ length: n }, (_, i) => ({
      ...common,
      promptTokenIds: tokenIds,
      sampling: { ...sampling, seed: sampling.seed === undefined ? undefined : sampling.seed + i },
    })),
  )
  return { endpoint, prompts, n, generations, stream, echo, topLogProbs, returnTokenIds }
}

export function requireModel(fields: FieldReader, served: string): void {
  const model = fields.text('model', MAX_NAME_LENGTH)
  if (model !== undefined && model !== served) throw unknownModel(model, served)
}

/** `best_of` would choose among more than are returned: only as many as that. */
function choices(fields: FieldReader): number {
  const n = fields.number('n', { min: 1, max: MAX_CHOICES, whole: true }) ?? 1
  fields.only('best_of', [n], 'every choice is returned, so it can only be n')
  return n
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

function streamOptions(fields: FieldReader): StreamOptions | undefined {
  const stream = fields.flag('stream') ?? false
  const options = fields.object('stream_options')
  const includeUsage = options?.flag('include_usage') ?? false
  const continuousUsage = (options?.flag('continuous_usage_stats') ?? false) && includeUsage
  options?.ignore('include_obfuscation')
  options?.done()
  return stream ? { includeUsage, continuousUsage } : undefined
}

function plateauFields(fields: FieldReader) {
  const plateau = fields.object('plateau')
  const read = {
    domain: plateau?.text('domain', MAX_NAME_LENGTH) ?? '',
    speculate: !(plateau?.flag('disable_speculation') ?? false),
    capture: plateau?.flag('capture') ?? true,
    returnTokenIds: plateau?.flag('return_token_ids'),
  }
  plateau?.done()
  return read
}

function refuseUnsupported(fields: FieldReader): void {
  fields.only('suffix', [''], 'text is only continued, not filled in')
  for (const tool of ['tools', 'tool_choice', 'functions', 'function_call'])
    fields.only(tool, ['none'], 'no tools are called')
  const format = fields.object('response_format')
  format?.only('type', ['text'], 'answers are free text')
  format?.done()
  fields.only('audio', [], 'only text is generated')
  const modalities = fields.take('modalities')
  if (modalities !== undefined && JSON.stringify(modalities) !== '["text"]')
    throw badRequest('modalities', 'modalities is not supported here beyond ["text"]: only text is generated')
  fields.ignore('metadata', 'store', 'service_tier', 'safety_identifier', 'prompt_cache_key')
}
