import { FloatFormat, packTopK, PlateauError, target, type TopK } from '@plateau/contracts'
import { callBidi, type CallSettings } from '@plateau/rpc'
import { logitProcessors, type Draft, type Proposal, type Random, type SparseDistribution } from '@plateau/speculation'

export interface SpeculatedResponse {
  readonly tokens: readonly number[]
  /** Proposed tokens that the target decided about. */
  readonly judged: number
  readonly accepted: number
  /** sum over v of min(p_v, q_v) of the raw distributions, at every judged position. */
  readonly alpha: readonly number[]
}

export interface SpeculateOptions {
  readonly draft: Draft
  readonly random: Random
  /** Most tokens proposed in a round. */
  readonly maxProposal: number
  readonly settings: CallSettings
}

/**
 * One response with a draft, over the very stream that serving uses, without its choices: as much is proposed in every
 * round as fits.
 */
export async function speculateResponse(
  client: target.TargetServiceClient,
  promptTokenIds: readonly number[],
  params: target.SamplingParams,
  { draft, random, maxProposal, settings }: SpeculateOptions,
): Promise<SpeculatedResponse> {
  const call = callBidi<target.SpeculateRequest, target.SpeculateResponse>(
    (metadata, options) => client.speculate(metadata, options),
    settings,
  )
  const ask = async (message: target.SpeculateRequest['message']): Promise<target.SpeculateVerdict> => {
    await call.send({ message })
    const verdict = (await call.receive())?.verdict
    if (verdict === undefined) throw new PlateauError('ABORTED', 'the target ended the response before it was finished')
    return verdict
  }
  const { temperature, topK, topP, maxTokens } = params
  const processors = logitProcessors(params, promptTokenIds)
  const open = target.SpeculateOpen.fromPartial({ promptTokenIds: [...promptTokenIds], sampling: params })
  const first = await ask({ $case: 'open', value: open })
  const tokens = emitted({ tokens: [], q: [], rawQ: [] }, first)
  processors?.record(tokens)
  const session = draft.open({ tokens: [...promptTokenIds, ...tokens], features: new Float32Array() })
  let [judged, accepted] = [0, 0]
  const alpha: number[] = []
  try {
    let finish = first.finishReason
    while (finish === target.FinishReason.FINISH_REASON_UNSPECIFIED) {
      // A round emits one token more than it accepts.
      const room = Math.min(maxProposal, maxTokens - tokens.length - 1)
      const proposal = await session.propose(room, { temperature, topK, topP, processors }, random)
      const verdict = await ask({ $case: 'proposal', value: proposalMessage(proposal) })
      const round = emitted(proposal, verdict)
      // Without a next token the response ended on an accepted one.
      judged +=
        verdict.nextTokenId === undefined ? verdict.accepted : Math.min(verdict.accepted + 1, proposal.tokens.length)
      accepted += verdict.accepted
      alpha.push(...verdict.alpha)
      processors?.record(round)
      session.adopt(round, new Float32Array())
      tokens.push(...round)
      finish = verdict.finishReason
    }
    return { tokens, judged, accepted, alpha }
  } finally {
    session.close()
    call.cancel()
  }
}

function emitted(proposal: Proposal, verdict: target.SpeculateVerdict): number[] {
  const accepted = proposal.tokens.slice(0, verdict.accepted)
  return verdict.nextTokenId === undefined ? accepted : [...accepted, verdict.nextTokenId]
}

function proposalMessage({ tokens, q, rawQ }: Proposal): target.SpeculateProposal {
  return { tokenIds: [...tokens], q: packed(q), rawQ: packed(rawQ), plainRounds: 0, shadowQ: undefined }
}

/** Rows of any length as one [rows, k] block: shorter ones are filled with tokens of probability 0 that they do not list. */
function packed(rows: readonly SparseDistribution[]): TopK | undefined {
  if (rows.length === 0) return undefined
  const k = Math.max(...rows.map(({ ids }) => ids.length))
  const ids = new Uint32Array(rows.length * k)
  const probs = new Float32Array(rows.length * k)
  for (const [i, row] of rows.entries()) {
    const listed = new Set(Array.from(row.ids))
    ids.set(row.ids, i * k)
    probs.set(row.probs, i * k)
    for (let at = listed.size, id = 0; at < k; id++) if (!listed.has(id)) ids[i * k + at++] = id
  }
  return packTopK(ids, probs, k, FloatFormat.FLOAT_FORMAT_FP32)
}
