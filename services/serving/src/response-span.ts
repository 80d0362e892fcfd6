import { currentTraceparent, startSpan, type WorkSpan } from '@plateau/telemetry'
import type { Round } from './response.js'
import type { GenerationRequest, ResponseStats } from './serving-engine.js'

export type ResponseSpan = WorkSpan<'{operation} {model}'>

/** Of one response, within the call that asked for it. Sizes and settings, never text. */
export function startResponseSpan(
  { operation, promptTokenIds, sampling }: GenerationRequest,
  model: string,
): ResponseSpan {
  return startSpan('{operation} {model}', {
    of: { operation, model },
    parent: currentTraceparent(),
    attributes: {
      'gen_ai.operation.name': operation,
      'gen_ai.provider.name': 'plateau',
      'gen_ai.request.model': model,
      'gen_ai.request.max_tokens': sampling.maxTokens,
      'gen_ai.request.temperature': sampling.temperature,
      'gen_ai.request.top_p': sampling.topP,
      'gen_ai.usage.input_tokens': promptTokenIds.length,
    },
  })
}

export function addRound(span: ResponseSpan, { source, proposed, accepted, tokens, work }: Round): void {
  span.event('round', () => ({
    'plateau.proposal.source': source,
    'plateau.proposed_tokens': proposed,
    'plateau.accepted_tokens': accepted,
    'plateau.emitted_tokens': tokens.length,
    'plateau.step_us': work?.targetUs,
  }))
}

/** `failure`: ours; a request that was refused or cancelled has an error type only. */
export function endResponseSpan(
  span: ResponseSpan,
  stats: ResponseStats,
  ended: { readonly outcome: string; readonly errorType: string | undefined; readonly failure: unknown },
): void {
  const { outcome, errorType, failure } = ended
  span.set({
    'plateau.draft.version': stats.draftVersion,
    'plateau.rounds': stats.numDrafts,
    'plateau.proposed_tokens': stats.numDraftTokens + stats.numLookupTokens,
    'plateau.accepted_tokens': stats.numAcceptedTokens + stats.numAcceptedLookupTokens,
    'gen_ai.usage.output_tokens': stats.numEmittedTokens,
    'gen_ai.response.finish_reasons': outcome === 'stop' || outcome === 'length' ? [outcome] : undefined,
    'error.type': errorType,
  })
  span.end(failure)
}
