import { FloatFormat, target, unpackFloats } from '@plateau/contracts'
import { logitProcessors } from '@plateau/speculation'
import { packRows } from './pack-rows.js'
import { NOTHING, Proposer, type ProposerOptions, type SourcedProposal } from './proposer.js'
import type { ResponseRequest, Round } from './response.js'
import { PAIRED_PLAIN_RUN, type PairedSessions } from './rollouts/paired-sessions.js'
import type { SpeculateStream } from './speculate-stream.js'

export interface ResponseContext {
  readonly stream: SpeculateStream
  /** Most tokens that target and controller take in one round. */
  readonly maxProposal: number
  readonly promptFeatures: number
  readonly proposer: ProposerOptions
  /** Two versions that are compared on this response. */
  readonly paired: PairedSessions | undefined
}

/**
 * Raw q is sent where a capture records the overlap of p and q, else in one round of so many: the metric's mean is as good,
 * and the other messages are half as long.
 */
const RAW_Q_INTERVAL = 4

const UNFINISHED = target.FinishReason.FINISH_REASON_UNSPECIFIED

/**
 * One response with speculation, round by round: something is proposed, the target verifies, both go on from what was
 * emitted. The output has the target's distribution whatever is proposed.
 * The consumer pulls: a slow client slows the rounds. Leaving the loop ends the response at the target.
 */
export async function* speculativeResponse(request: ResponseRequest, context: ResponseContext): AsyncGenerator<Round> {
  const { stream, paired } = context
  const { draft, clockUs } = context.proposer
  const { temperature, topK, topP, maxTokens } = request.sampling
  const processors = logitProcessors(request.sampling, request.promptTokenIds)
  const sampling = { temperature, topK, topP: topP || 1, processors }
  const proposer = new Proposer(context.proposer)
  try {
    const first = await stream.open({
      promptTokenIds: [...request.promptTokenIds],
      sampling: request.sampling,
      capture: request.capture,
      promptFeatures: draft === undefined && paired === undefined ? 0 : context.promptFeatures,
      draftVersion: draft?.version ?? '',
    })
    const firstTokens = emittedTokens(NOTHING, first)
    processors?.record(firstTokens)
    let emitted = firstTokens.length
    let finish = first.finishReason
    const plain = { source: 'none', proposed: 0, accepted: 0, judged: 0, alpha: [] } as const
    yield { tokens: firstTokens, ...plain, finish, logprobs: first.logprobs }
    const start = { tokens: [...request.promptTokenIds, ...firstTokens], features: featureRows(first.features) }
    proposer.open(start)
    paired?.open(start)

    for (let round = 0; finish === UNFINISHED; round++) {
      const wantsAlpha = request.capture.consent || round % RAW_Q_INTERVAL === 0
      // A round emits one token more than it accepts, so the last token is never worth proposing.
      let proposal = await proposer.propose(Math.min(maxTokens - emitted - 1, context.maxProposal), sampling)
      let startedUs = clockUs()
      const mostPlain = paired?.isOpen ? PAIRED_PLAIN_RUN : Infinity
      let plainRounds = proposal.tokens.length === 0 ? Math.min(proposer.plainRounds(), mostPlain) : 0
      let verdict = await stream.propose({
        tokenIds: [...proposal.tokens],
        q: packRows(proposal.q),
        rawQ: wantsAlpha ? packRows(proposal.rawQ) : undefined,
        plainRounds,
        shadowQ: await paired?.rows(),
      })
      paired?.judged(verdict.shadowAlpha)
      for (let asked = true; ; asked = false) {
        const tokens = emittedTokens(proposal, verdict)
        const proposed = proposal.tokens.length
        const { accepted, alpha, stepUs, logprobs } = verdict
        // Without a next token the response ended on an accepted one, and what follows it was not judged.
        const judged = verdict.nextTokenId === undefined ? accepted : Math.min(accepted + 1, proposed)
        const features = featureRows(verdict.features)
        processors?.record(tokens)
        proposer.adopt(tokens, features)
        paired?.adopt(tokens, features)
        proposer.observe({ accepted, judged, targetUs: stepUs, exchangeUs: clockUs() - startedUs }, asked)
        emitted += tokens.length
        finish = verdict.finishReason
        const work = proposed === 0 ? {} : { work: { draftUs: proposer.draftUs, targetUs: stepUs } }
        yield { tokens, source: proposal.source, proposed, accepted, judged, alpha, finish, logprobs, ...work }
        if (finish !== UNFINISHED || plainRounds-- === 0) break
        startedUs = clockUs()
        proposer.pass()
        proposal = NOTHING
        verdict = await stream.next()
      }
    }
  } finally {
    proposer.close()
    paired?.close()
    stream.close()
  }
}

function emittedTokens(proposal: SourcedProposal, verdict: target.SpeculateVerdict): number[] {
  const accepted = proposal.tokens.slice(0, verdict.accepted)
  return verdict.nextTokenId === undefined ? accepted : [...accepted, verdict.nextTokenId]
}

function featureRows(bytes: Uint8Array): Float32Array {
  return unpackFloats(bytes, FloatFormat.FLOAT_FORMAT_FP32, bytes.length / 4)
}
