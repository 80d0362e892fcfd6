import type { ResponseStats } from '../serving-engine.js'
import type { FinishReason } from '../text-pieces.js'
import type { Endpoint } from './parse-request.js'

/** What all chunks of one response share. */
export interface ResponseHead {
  readonly endpoint: Endpoint
  readonly id: string
  readonly model: string
  readonly createdSeconds: number
}

export interface Usage {
  readonly prompt_tokens: number
  readonly completion_tokens: number
  readonly total_tokens: number
}

/** Plateau's own part of the last chunk or the whole response. */
export interface PlateauPart {
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
  text: string,
  finish: FinishReason,
  usage: Usage,
  plateau: PlateauPart,
): object {
  const common = { index: 0, logprobs: null, finish_reason: finish }
  const choice =
    head.endpoint === 'chat' ? { ...common, message: { role: 'assistant', content: text } } : { ...common, text }
  const object = head.endpoint === 'chat' ? 'chat.completion' : 'text_completion'
  return { ...envelope(head, object), choices: [choice], usage, plateau }
}

/** One piece of a stream; `finish` and `plateau` come with the last one. */
export function chunkBody(
  head: ResponseHead,
  piece: { readonly text: string; readonly first: boolean; readonly finish?: FinishReason | undefined },
  plateau?: PlateauPart,
): object {
  const common = { index: 0, logprobs: null, finish_reason: piece.finish ?? null }
  const delta = { ...(piece.first ? { role: 'assistant' } : {}), content: piece.text }
  const choice = head.endpoint === 'chat' ? { ...common, delta } : { ...common, text: piece.text }
  return { ...envelope(head, chunkObject(head)), choices: [choice], ...(plateau === undefined ? {} : { plateau }) }
}

/** OpenAI's last chunk when stream_options.include_usage was set. */
export function usageBody(head: ResponseHead, usage: Usage): object {
  return { ...envelope(head, chunkObject(head)), choices: [], usage }
}

export function plateauPart(stats: ResponseStats, tokenIds: readonly number[] | undefined): PlateauPart {
  return {
    draft_version: stats.draftVersion,
    num_drafts: stats.numDrafts,
    num_draft_tokens: stats.numDraftTokens,
    num_accepted_tokens: stats.numAcceptedTokens,
    num_lookup_tokens: stats.numLookupTokens,
    num_accepted_lookup_tokens: stats.numAcceptedLookupTokens,
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

function chunkObject({ endpoint }: ResponseHead): string {
  return endpoint === 'chat' ? 'chat.completion.chunk' : 'text_completion'
}

function envelope(head: ResponseHead, object: string): object {
  return { id: head.id, object, created: head.createdSeconds, model: head.model }
}
