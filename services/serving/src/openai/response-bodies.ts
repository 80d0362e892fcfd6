import type { Tokenizer } from '@plateau/model-files'
import type { ScoredToken } from '../scored-tokens.js'
import type { ResponseStats } from '../serving-engine.js'
import type { FinishReason } from '../text-pieces.js'
import type { AcceptanceMetrics } from './acceptance-metrics.js'
import { chatLogProbs, completionLogProbs, type ChatLogProbs, type CompletionLogProbs } from './logprobs-body.js'
import type { Endpoint } from './parse-request.js'

/** What all chunks of one response share. */
export interface ResponseHead {
  readonly endpoint: Endpoint
  readonly id: string
  readonly model: string
  readonly createdSeconds: number
}

/** A choice, or in a stream the part of it that is new. */
export interface ChoicePart {
  readonly index: number
  readonly text: string
  /** Undefined: it goes on. */
  readonly finish: FinishReason | undefined
  readonly logprobs: ChatLogProbs | CompletionLogProbs | null
  /** Where they are wanted; vLLM's field. */
  readonly tokenIds: readonly number[] | undefined
  readonly promptTokenIds: readonly number[] | undefined
}

export interface Usage {
  readonly prompt_tokens: number
  readonly completion_tokens: number
  readonly total_tokens: number
}

/** vLLM's part about one request; null where it is not known of a single stream of tokens. */
export interface RequestMetrics {
  readonly speculative_decoding: AcceptanceMetrics | null
}

/** Plateau's own part of the last chunk of a choice or of the whole response. */
export interface PlateauPart {
  /** Several, with commas between them, where choices used different ones. */
  readonly draft_version: string
  readonly num_drafts: number
  readonly num_draft_tokens: number
  readonly num_accepted_tokens: number
  readonly num_lookup_tokens: number
  readonly num_accepted_lookup_tokens: number
  readonly token_ids?: readonly number[]
}

export function wholeBody(
  head: ResponseHead,
  choices: readonly ChoicePart[],
  parts: { readonly usage: Usage; readonly plateau: PlateauPart; readonly metrics: RequestMetrics | undefined },
): object {
  const chat = head.endpoint === 'chat'
  const listed = choices.map((choice) => {
    const { index, text, logprobs, finish } = choice
    const common = { index, logprobs, finish_reason: finish, ...tokenFields(head, choice) }
    return chat ? { ...common, message: { role: 'assistant', content: text, refusal: null } } : { ...common, text }
  })
  const object = chat ? 'chat.completion' : 'text_completion'
  return { ...envelope(head, object), ...promptField(head, choices[0]), choices: listed, ...parts }
}

/** One piece of a choice in a stream. `usage` is null where only the last chunk has it, `plateau` comes with its end. */
export function chunkBody(
  head: ResponseHead,
  choice: ChoicePart & { readonly first: boolean },
  parts: { readonly usage?: Usage | null; readonly plateau?: PlateauPart },
): object {
  const { index, text, logprobs, finish, first } = choice
  const common = { index, logprobs, finish_reason: finish ?? null, ...tokenFields(head, choice) }
  const delta = { ...(first ? { role: 'assistant' } : {}), content: text }
  const listed = head.endpoint === 'chat' ? { ...common, delta } : { ...common, text }
  return { ...envelope(head, chunkObject(head)), ...promptField(head, choice), choices: [listed], ...parts }
}

/** OpenAI's last chunk when stream_options.include_usage was set. */
export function usageBody(
  head: ResponseHead,
  parts: { readonly usage: Usage; readonly metrics: RequestMetrics | undefined },
): object {
  return { ...envelope(head, chunkObject(head)), choices: [], ...parts }
}

export function plateauPart(stats: readonly ResponseStats[], tokenIds: readonly number[] | undefined): PlateauPart {
  const total = (count: keyof ResponseStats): number => stats.reduce((sum, one) => sum + Number(one[count]), 0)
  return {
    draft_version: [...new Set(stats.map(({ draftVersion }) => draftVersion))].join(','),
    num_drafts: total('numDrafts'),
    num_draft_tokens: total('numDraftTokens'),
    num_accepted_tokens: total('numAcceptedTokens'),
    num_lookup_tokens: total('numLookupTokens'),
    num_accepted_lookup_tokens: total('numAcceptedLookupTokens'),
    ...(tokenIds === undefined ? {} : { token_ids: tokenIds }),
  }
}

export function usageOf(promptTokens: number, completionTokens: number): Usage {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
  }
}

/** In the shape of the endpoint; null where none were asked for. */
export function logProbsBody(
  endpoint: Endpoint,
  scored: readonly ScoredToken[],
  top: number | undefined,
  tokenizer: Tokenizer,
): ChatLogProbs | CompletionLogProbs | null {
  if (top === undefined) return null
  return endpoint === 'chat' ? chatLogProbs(scored, top, tokenizer) : completionLogProbs(scored, top, tokenizer)
}

function chunkObject({ endpoint }: ResponseHead): string {
  return endpoint === 'chat' ? 'chat.completion.chunk' : 'text_completion'
}

function envelope(head: ResponseHead, object: string): object {
  return { id: head.id, object, created: head.createdSeconds, model: head.model }
}

/** Prompt ids stand with the choice in completions, which may have several prompts, and beside the choices in chats. */
function tokenFields({ endpoint }: ResponseHead, { tokenIds, promptTokenIds }: ChoicePart): object {
  if (tokenIds === undefined) return {}
  const prompt = endpoint === 'completions' && promptTokenIds !== undefined ? { prompt_token_ids: promptTokenIds } : {}
  return { token_ids: tokenIds, ...prompt }
}

function promptField({ endpoint }: ResponseHead, choice: ChoicePart | undefined): object {
  if (endpoint !== 'chat' || choice?.promptTokenIds === undefined) return {}
  return { prompt_token_ids: choice.promptTokenIds }
}
