import { target } from '@plateau/contracts'
import type { DraftSession, Proposal, Random } from '@plateau/speculation'
import type { DraftLease } from './draft-holder.js'
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
  readonly random: Random
  /** Microseconds, for the draft's share of a round. */
  readonly clockUs: () => number
  /** The draft failed; the response goes on without it. */
  readonly onDraftError: (error: unknown) => void
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

const NOTHING: Proposal = { tokens: [], q: [], rawQ: [] }
const UNFINISHED = target.FinishReason.FINISH_REASON_UNSPECIFIED

/**
 * One response with speculation, round by round: the draft proposes, the target verifies, both go on from what was
 * emitted. The output has the target's distribution whatever the draft does, so a draft that fails is simply left out.
 * The consumer pulls: a slow client slows the rounds. Leaving the loop ends the response at the target.
 */
export async function* speculativeResponse(request: ResponseRequest, context: ResponseContext): AsyncGenerator<Round> {
  const { stream, lease } = context
  let session: DraftSession | undefined
  try {
    const first = await stream.open({
      promptTokenIds: [...request.promptTokenIds],
      sampling: request.sampling,
      capture: request.capture,
      promptFeatures: lease === undefined ? 0 : context.promptFeatures,
      draftVersion: lease?.draft.version ?? '',
    })
    const firstTokens = emittedTokens(NOTHING, first)
    yield { tokens: firstTokens, proposed: 0, accepted: 0, alpha: [], finish: first.finishReason }
    if (first.finishReason !== UNFINISHED) return

    const guard = guardDraft(context.onDraftError)
    const start = { tokens: [...request.promptTokenIds, ...firstTokens], features: featureRows(first.features) }
    session = guard(() => lease?.draft.open(start))
    let emitted = firstTokens.length
    let finish: target.FinishReason = UNFINISHED

    while (finish === UNFINISHED) {
      // A round emits one token more than it accepts, so the last token is never worth proposing.
      const room = Math.min(request.sampling.maxTokens - emitted - 1, context.maxProposal)
      const wanted = session === undefined ? 0 : Math.min(lease!.controller.next(), room)
      const startedUs = context.clockUs()
      const proposal = wanted > 0 ? await proposeOrNothing(session!, wanted, request.sampling, context) : NOTHING
      const draftUs = context.clockUs() - startedUs

      const verdict = await stream.propose({
        tokenIds: [...proposal.tokens],
        q: packRows(proposal.q),
        rawQ: packRows(proposal.rawQ),
      })
      const tokens = emittedTokens(proposal, verdict)
      const proposed = proposal.tokens.length
      finish = verdict.finishReason
      emitted += tokens.length
      if (lease !== undefined) {
        const { accepted, stepUs: targetUs } = verdict
        // Without a next token the response ended on an accepted one, and what follows it was not judged.
        const judged = verdict.nextTokenId === undefined ? accepted : Math.min(accepted + 1, proposed)
        lease.controller.observe({ proposed, accepted, judged, draftUs, targetUs })
      }
      if (session !== undefined && finish === UNFINISHED) {
        const adopting = session
        const adopted = guard(() => {
          adopting.adopt(tokens, featureRows(verdict.features))
          return true
        })
        if (adopted === undefined) session = dropSession(session, guard)
      }
      yield { tokens, proposed, accepted: verdict.accepted, alpha: verdict.alpha, finish }
    }
  } finally {
    if (session !== undefined) dropSession(session, guardDraft(context.onDraftError))
    stream.close()
  }
}

async function proposeOrNothing(
  session: DraftSession,
  count: number,
  sampling: target.SamplingParams,
  context: ResponseContext,
): Promise<Proposal> {
  const { temperature, topK, topP } = sampling
  try {
    return await session.propose(count, { temperature, topK, topP: topP || 1 }, context.random)
  } catch (error) {
    context.onDraftError(error)
    return NOTHING
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

type Guard = <T>(work: () => T) => T | undefined

function guardDraft(onDraftError: (error: unknown) => void): Guard {
  return (work) => {
    try {
      return work()
    } catch (error) {
      onDraftError(error)
      return undefined
    }
  }
}

function dropSession(session: DraftSession, guard: Guard): undefined {
  guard(() => session.close())
  return undefined
}
