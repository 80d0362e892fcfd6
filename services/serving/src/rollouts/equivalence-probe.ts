import { FloatFormat, PlateauError, target, unpackFloats } from '@plateau/contracts'
import type { Draft } from '@plateau/speculation'
import type { TargetLink } from '../target-link.js'
import type { LoadedDraft } from './loaded-draft.js'

export interface ProbeOptions {
  readonly target: TargetLink
  /** As token ids; a few are enough. */
  readonly prompts: readonly (readonly number[])[]
  readonly promptFeatures: number
  /** Microseconds. */
  readonly clockUs: () => number
}

const TOKENS = 16
const PROPOSED = 4
const DEADLINE_MS = 20_000
/**
 * Where two tokens are closer than this, in nats, plain and speculative decoding may differ by rounding: with 8-bit weights a
 * step over several positions moves single logits by up to .8 (ARCHITECTURE.md, Rounding). A defect of the draft, of the
 * protocol or of verification chooses tokens that are much further apart.
 */
const ROUNDING_NATS = 1
const NOT_CAPTURED = { consent: false, sampleId: '', tenant: '', domain: '' }

/**
 * Asks the target for a few answers at temperature 0, plainly and with the draft proposing in every round: they must be the
 * same tokens. What rounds take is told to the version's controller, so that it knows break-even before its first request.
 */
export class EquivalenceProbe {
  readonly #options: ProbeOptions
  readonly #plain = new Map<number, number[]>()

  constructor(options: ProbeOptions) {
    this.#options = options
  }

  /** What was compared, for a person. Throws PlateauError PROBE_DIFFERS, or what the target or the draft throws. */
  async run(loaded: LoadedDraft, signal: AbortSignal): Promise<string> {
    const lengths = await Promise.all(this.#options.prompts.map((prompt, i) => this.#ask(i, prompt, loaded, signal)))
    const tokens = lengths.reduce((sum, length) => sum + length, 0)
    return `${tokens} greedy tokens of ${this.#options.prompts.length} prompts are those of plain decoding`
  }

  /** How many tokens were compared. */
  async #ask(i: number, prompt: readonly number[], loaded: LoadedDraft, signal: AbortSignal): Promise<number> {
    const plain = this.#plain.get(i) ?? (await this.#decode(prompt, undefined, signal))
    this.#plain.set(i, plain)
    const speculative = await this.#decode(prompt, loaded, signal)
    await this.#compare(prompt, plain, speculative, loaded, signal)
    return plain.length
  }

  async #decode(prompt: readonly number[], loaded: LoadedDraft | undefined, signal: AbortSignal): Promise<number[]> {
    const { target: link, promptFeatures, clockUs } = this.#options
    const { maxContext, maxProposal } = link.description()
    const maxTokens = Math.min(TOKENS, maxContext - prompt.length)
    const stream = link.open({ signal, deadlineMs: DEADLINE_MS })
    const proposer = loaded === undefined ? undefined : new ProbeProposer(loaded, Math.min(PROPOSED, maxProposal))
    try {
      const sampling = target.SamplingParams.fromPartial({ topP: 1, maxTokens, ignoreEos: true })
      const open = { promptTokenIds: [...prompt], sampling, capture: NOT_CAPTURED, promptFeatures, draftVersion: '' }
      let verdict = await stream.open(open)
      const tokens = [verdict.nextTokenId!]
      proposer?.open([...prompt, ...tokens], rowsOf(verdict))
      while (verdict.finishReason === target.FinishReason.FINISH_REASON_UNSPECIFIED) {
        const proposed = (await proposer?.propose(maxTokens - tokens.length - 1, clockUs)) ?? []
        const startedUs = clockUs()
        verdict = await stream.propose(target.SpeculateProposal.fromPartial({ tokenIds: proposed }))
        const emitted = proposed.slice(0, verdict.accepted)
        if (verdict.nextTokenId !== undefined) emitted.push(verdict.nextTokenId)
        tokens.push(...emitted)
        proposer?.judged(emitted, verdict, clockUs() - startedUs)
      }
      return tokens
    } finally {
      proposer?.close()
      stream.close()
    }
  }

  async #compare(
    prompt: readonly number[],
    plain: readonly number[],
    speculative: readonly number[],
    { identity }: LoadedDraft,
    signal: AbortSignal,
  ): Promise<void> {
    const parting = plain.findIndex((token, i) => token !== speculative[i])
    if (parting < 0) return
    const gap = await this.#gapNats(
      [...prompt, ...plain.slice(0, parting)],
      plain[parting]!,
      speculative[parting],
      signal,
    )
    if (gap <= ROUNDING_NATS) return
    const message =
      `with version ${identity.version} greedy token ${parting} of a probe is ${speculative[parting]} instead of ${plain[parting]}, ` +
      `${gap.toFixed(2)} nats apart: speculation would change the output`
    throw new PlateauError('PROBE_DIFFERS', message, { facts: { version: identity.version, position: parting, gap } })
  }

  /** How much more probable one token is than another after `context`. */
  async #gapNats(
    context: readonly number[],
    one: number,
    other: number | undefined,
    signal: AbortSignal,
  ): Promise<number> {
    if (other === undefined) return Number.POSITIVE_INFINITY
    const logProb = async (token: number): Promise<number> => {
      const scored = await this.#options.target.score(
        { promptTokenIds: [...context], responseTokenIds: [token] },
        { signal, deadlineMs: DEADLINE_MS },
      )
      return scored.window?.tokenLogProb[0] ?? Number.NEGATIVE_INFINITY
    }
    return (await logProb(one)) - (await logProb(other))
  }
}

/** The draft proposes in every round, between none and all that may be proposed in turn, so that steps of each length are timed. */
class ProbeProposer {
  readonly #loaded: LoadedDraft
  readonly #most: number
  #session: ReturnType<Draft['open']> | undefined
  #round = 0
  #proposed = 0
  #draftUs = 0

  constructor(loaded: LoadedDraft, most: number) {
    this.#loaded = loaded
    this.#most = most
  }

  open(tokens: readonly number[], features: Float32Array): void {
    this.#session = this.#loaded.draft.open({ tokens, features })
  }

  async propose(room: number, clockUs: () => number): Promise<number[]> {
    const count = Math.min(room, this.#round++ % (this.#most + 1))
    const startedUs = clockUs()
    const tokens = count > 0 ? (await this.#session!.propose(count, GREEDY, () => 0)).tokens : []
    this.#draftUs = count > 0 ? clockUs() - startedUs : 0
    this.#proposed = tokens.length
    return [...tokens]
  }

  judged(emitted: readonly number[], verdict: target.SpeculateVerdict, exchangeUs: number): void {
    const { accepted, stepUs: targetUs } = verdict
    this.#session!.adopt(emitted, rowsOf(verdict))
    const draftCaughtUpFirst = this.#round <= 2
    this.#loaded.controller.observeCosts({
      proposed: this.#proposed,
      accepted,
      draftUs: this.#draftUs,
      targetUs,
      exchangeUs,
      draftCaughtUpFirst,
    })
  }

  close(): void {
    this.#session?.close()
  }
}

const GREEDY = { temperature: 0, topK: 0, topP: 1 }

function rowsOf({ features }: target.SpeculateVerdict): Float32Array {
  return unpackFloats(features, FloatFormat.FLOAT_FORMAT_FP32, features.length / 4)
}
