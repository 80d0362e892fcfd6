import { FloatFormat, target, unpackFloats } from '@plateau/contracts'
import type { Proposal } from '@plateau/speculation'
import type { DraftLease } from './draft-holder.js'
import { DraftSide, NOTHING, type DraftSideOptions } from './draft-side.js'
import { packRows } from './pack-rows.js'
import type { ResponseRequest, Round } from './response.js'
import type { SpeculateStream } from './speculate-stream.js'

export interface ResponseContext {
  readonly stream: SpeculateStream
  /** The version this response uses from start to end. */
  readonly lease: DraftLease
  /** Most tokens the target takes in one round. */
  readonly maxProposal: number
  readonly promptFeatures: number
  readonly draft: DraftSideOptions
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
      promptFeatures: context.promptFeatures,
      draftVersion: lease.draft.version,
    })
    const firstTokens = emittedTokens(NOTHING, first)
    let emitted = firstTokens.length
    let finish = first.finishReason
    yield { tokens: firstTokens, proposed: 0, accepted: 0, alpha: [], finish }
    draft.open({ tokens: [...request.promptTokenIds, ...firstTokens], features: featureRows(first.features) })

    while (finish === UNFINISHED) {
      // A round emits one token more than it accepts, so the last token is never worth proposing.
      const proposal = await draft.propose(Math.min(maxTokens - emitted - 1, context.maxProposal), sampling)
      const proposed = proposal.tokens.length
      let startedUs = context.draft.clockUs()
      let plainRounds = proposed === 0 ? draft.plainRounds() : 0
      let verdict = await stream.propose({
        tokenIds: [...proposal.tokens],
        q: packRows(proposal.q),
        rawQ: packRows(proposal.rawQ),
        plainRounds,
      })
      for (;;) {
        const tokens = emittedTokens(proposal, verdict)
        const { accepted, alpha, stepUs } = verdict
        // Without a next token the response ended on an accepted one, and what follows it was not judged.
        const judged = verdict.nextTokenId === undefined ? accepted : Math.min(accepted + 1, proposed)
        draft.adopt(tokens, featureRows(verdict.features))
        draft.observe({ accepted, judged, targetUs: stepUs, exchangeUs: context.draft.clockUs() - startedUs })
        emitted += tokens.length
        finish = verdict.finishReason
        yield { tokens, proposed, accepted, alpha, finish }
        if (finish !== UNFINISHED || plainRounds-- === 0) break
        startedUs = context.draft.clockUs()
        draft.pass()
        verdict = await stream.next()
      }
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

function featureRows(bytes: Uint8Array): Float32Array {
  return unpackFloats(bytes, FloatFormat.FLOAT_FORMAT_FP32, bytes.length / 4)
}
