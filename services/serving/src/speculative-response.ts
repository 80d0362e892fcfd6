import { target } from '@plateau/contracts'
import type { Proposal } from '@plateau/speculation'
import type { DraftLease } from './draft-holder.js'
import { DraftSide, NOTHING, type DraftSideOptions } from './draft-side.js'
import { packRows } from './pack-rows.js'
import type { SpeculateStream } from './speculate-stream.js'

export interface ResponseRequest {
  readonly promptTokenIds: readonly number[]
  readonly sampling: target.SamplingParams
  readonly capture: target.Capture
}

export interface ResponseContext {
  readonly stream: SpeculateStream
  /** The version this response uses from start to end; undefined: plain decoding over the same stream. */
  readonly lease: DraftLease | undefined
  /** Most tokens the target takes in one round. */
  readonly maxProposal: number
  readonly promptFeatures: number
  readonly draft: DraftSideOptions
}

/** What one round emitted. */
export interface Round {
  /** The accepted tokens, then the recovered or bonus one. */
  readonly tokens: readonly number[]
  readonly proposed: number
  readonly accepted: number
  /** sum of min(p, q) at every judged position. */
  readonly alpha: readonly number[]
  readonly finish: target.FinishReason
}

const UNFINISHED = target.FinishReason.FINISH_REASON_UNSPECIFIED

/**
 * One response with speculation, round by round: the draft proposes, the target verifies, both go on from what was
 * emitted. The output has the target's distribution whatever the draft does.
 * The consumer pulls: a slow client slows the rounds. Leaving the loop ends the response at the target.
 */
export async function* speculativeResponse(request: ResponseRequest, context: ResponseContext): AsyncGenerator<Round> {
  const { stream, lease } = context
  const { temperature, topK, topP, maxTokens } = request.sampling
  const sampling = { temperature, topK, topP: topP || 1 }
  const draft = new DraftSide(lease, context.draft)
  try {
    const first = await stream.open({
      promptTokenIds: [...request.promptTokenIds],
      sampling: request.sampling,
      capture: request.capture,
      promptFeatures: lease === undefined ? 0 : context.promptFeatures,
      draftVersion: lease?.draft.version ?? '',
    })
    const firstTokens = emittedTokens(NOTHING, first)
    let emitted = firstTokens.length
    let finish = first.finishReason
    yield { tokens: firstTokens, proposed: 0, accepted: 0, alpha: [], finish }
    draft.open({ tokens: [...request.promptTokenIds, ...firstTokens], features: featureRows(first.features) })

    while (finish === UNFINISHED) {
      // A round emits one token more than it accepts, so the last token is never worth proposing.
      const proposal = await draft.propose(Math.min(maxTokens - emitted - 1, context.maxProposal), sampling)
      const verdict = await stream.propose({
        tokenIds: [...proposal.tokens],
        q: packRows(proposal.q),
        rawQ: packRows(proposal.rawQ),
      })
      const tokens = emittedTokens(proposal, verdict)
      const proposed = proposal.tokens.length
      const { accepted, alpha, stepUs } = verdict
      // Without a next token the response ended on an accepted one, and what follows it was not judged.
      const judged = verdict.nextTokenId === undefined ? accepted : Math.min(accepted + 1, proposed)
      draft.observe({ accepted, judged, targetUs: stepUs })
      draft.adopt(tokens, featureRows(verdict.features))
      emitted += tokens.length
      finish = verdict.finishReason
      yield { tokens, proposed, accepted, alpha, finish }
    }
  } finally {
    draft.close()
    stream.close()
  }
}

function emittedTokens(proposal: Proposal, verdict: target.SpeculateVerdict): number[] {
  const accepted = proposal.tokens.slice(0, verdict.accepted)
  return verdict.nextTokenId === undefined ? accepted : [...accepted, verdict.nextTokenId]
}

/** FP32, little-endian, as they came; copied, because a view into a network buffer may lie at an odd offset. */
function featureRows(bytes: Uint8Array): Float32Array {
  const copy = bytes.slice()
  return new Float32Array(copy.buffer, copy.byteOffset, copy.byteLength / 4)
}
