/**
 * One response: its cache, its random numbers, how far it has come.
 *
 *     start() ──▶ advance(proposal) ──▶ ... ──▶ finished
 *
 * The newest emitted token is not in the cache yet: a round computes [it, proposed tokens] in one step, which gives p
 * after each of them, verifies the proposal, and takes the rejected tokens out of the cache again. A plain decoding step
 * is a round with an empty proposal.
 *
 * At temperature 0 a response is the same with and without proposals, except where the two largest logits are closer
 * than the rounding difference between steps of different lengths (about 1e-5): there either token may be chosen.
 */
import { target } from '@plateau/contracts'
import type { Sequence, StepRows } from '@plateau/inference'
import {
  draftSignals,
  drawToken,
  logitProcessors,
  overlap,
  verifyProposal,
  type DraftSignals,
  type Random,
  type Sampling,
  type SparseDistribution,
} from '@plateau/speculation'
import type { ResponsePlan, RoundRequest } from './request-checks.js'
import { readsScaledLogSumExp, ScoredRow } from './scored-row.js'
import type { Target } from './target.js'

export interface Round {
  /** Emitted tokens, at least one; rows[i] is what tokens[i] was drawn from. */
  readonly tokens: readonly number[]
  readonly rows: readonly ScoredRow[]
  /** Proposed tokens among the emitted ones, from the first. */
  readonly accepted: number
  /** Of raw p and raw q, for each judged position, when raw q was given. */
  readonly signals: readonly DraftSignals[]
  /** alpha of raw p and every shadow's raw q, at the round's first position. */
  readonly shadowAlpha: readonly number[]
  readonly finish: target.FinishReason
  /** Positions that the step computed, and its time in the engine, microseconds. */
  readonly positions: number
  readonly stepUs: number
}

export interface Start extends Round {
  /** Feature rows [rows, H] of the prompt's last positions; the last is the one the first token was drawn from. */
  readonly promptFeatures: Float32Array
  /** The hidden state that the prompt's last token came from; undefined when the prompt is one token long. */
  readonly leadFeature: Float32Array | undefined
}

/**
 * Logits that processors change are asked of the step up to so many; beyond, all logits of a row are fetched. A long
 * prompt under a repetition penalty has some hundred different tokens.
 */
const MAX_AFFECTED = 1024

export class TargetResponse {
  readonly #target: Target
  readonly #plan: ResponsePlan
  readonly #sampling: Sampling
  readonly #random: Random
  readonly #sequence: Sequence
  #newest = -1
  #emitted = 0

  /** `scope`: see CausalLmDecoder.open. */
  constructor(loaded: Target, plan: ResponsePlan, random: Random, scope: string) {
    this.#target = loaded
    this.#plan = plan
    this.#sampling = { ...plan.sampling, processors: logitProcessors(plan.processing, plan.prompt) }
    this.#random = random
    this.#sequence = loaded.decoder.open(scope)
  }

  /** Reads the prompt and draws the first token. */
  async start(promptFeatures: number): Promise<Start> {
    const { prompt } = this.#plan
    const features = Math.min(prompt.length, Math.max(2, promptFeatures))
    const candidates = [this.#affected([])]
    const step = await this.#sequence.step(prompt, { features, temperature: this.#stepTemperature, candidates })
    const row = this.#scored(step, 0, candidates[0]!)
    const token = await drawToken(row.target(this.#sampling, this.#vocabSize, []), this.#random)
    const { hiddenSize } = this.#target.description.config
    return {
      ...this.#emit([token], [row], 0, []),
      shadowAlpha: [],
      positions: prompt.length,
      stepUs: step.elapsedUs,
      promptFeatures: step.features.subarray((features - Math.max(1, Math.min(features, promptFeatures))) * hiddenSize),
      leadFeature:
        features > 1 ? step.features.subarray((features - 2) * hiddenSize, (features - 1) * hiddenSize) : undefined,
    }
  }

  async advance(proposal: RoundRequest): Promise<Round> {
    // A round emits up to one token more than it is offered; what lies beyond the response's end is not looked at.
    const count = Math.min(proposal.tokens.length, this.#plan.maxTokens - this.#emitted - 1)
    const tokens = proposal.tokens.slice(0, count)
    const q = proposal.q.slice(0, count)
    const rawQ = proposal.rawQ.slice(0, count)
    const aheads = Array.from({ length: count + 1 }, (_, i) => tokens.slice(0, i))
    const candidates = aheads.map((ahead, i) => {
      const shadows = i === 0 ? proposal.shadowQ : []
      return idsOf(tokens.slice(i, i + 1), this.#affected(ahead), [q[i], rawQ[i], ...shadows])
    })

    const step = await this.#sequence.step([this.#newest, ...tokens], {
      rows: 'all',
      temperature: this.#stepTemperature,
      candidates,
    })
    const rows = candidates.map((ids, i) => this.#scored(step, i, ids))
    const { accepted, nextToken } = await verifyProposal({
      tokens,
      q,
      rows: rows.map((row, i) => row.target(this.#sampling, this.#vocabSize, aheads[i]!)),
      random: this.#random,
    })
    this.#sequence.rollback(this.#sequence.length - (count - accepted))
    const judged = Math.min(accepted + 1, rawQ.length)
    const signals = rawQ.slice(0, judged).map((row, i) => draftSignals((id) => rows[i]!.listedProb(id), row))
    const shadowAlpha = proposal.shadowQ.map((row) => overlap((id) => rows[0]!.listedProb(id), row))
    const round = this.#emit([...tokens.slice(0, accepted), nextToken], rows, accepted, signals)
    return { ...round, shadowAlpha, positions: 1 + count, stepUs: step.elapsedUs }
  }

  /** Frees the cache. Safe to call twice, and while a step runs. */
  close(): void {
    this.#sequence.close()
  }

  /** Ends the response where a stop token, or the last token it may have, was emitted. */
  #emit(tokens: readonly number[], rows: readonly ScoredRow[], accepted: number, signals: readonly DraftSignals[]) {
    const stop = tokens.findIndex((token) => this.#plan.stopTokenIds.has(token))
    const emitted = stop < 0 ? tokens : tokens.slice(0, stop + 1)
    this.#newest = emitted.at(-1)!
    this.#emitted += emitted.length
    this.#sampling.processors?.record(emitted)
    return {
      tokens: emitted,
      rows: rows.slice(0, emitted.length),
      accepted: Math.min(accepted, emitted.length),
      signals: signals.slice(0, emitted.length),
      finish: stop < 0 ? this.#finishByLength() : target.FinishReason.FINISH_REASON_STOP,
    }
  }

  #finishByLength(): target.FinishReason {
    return this.#emitted < this.#plan.maxTokens
      ? target.FinishReason.FINISH_REASON_UNSPECIFIED
      : target.FinishReason.FINISH_REASON_LENGTH
  }

  #scored(step: StepRows, index: number, candidateIds: readonly number[]): ScoredRow {
    return new ScoredRow(step, index, candidateIds, (feature) => this.#target.decoder.fullLogits(feature))
  }

  /** Tokens whose logits the processors change at a position, where they are few enough to be candidates. */
  #affected(ahead: readonly number[]): readonly number[] {
    const ids = this.#sampling.processors?.affected(ahead) ?? []
    return ids.length <= MAX_AFFECTED ? ids : []
  }

  /** Where the log-sum-exp at it is not read, 1, which costs nothing. */
  get #stepTemperature(): number {
    const { temperature } = this.#plan.sampling
    return readsScaledLogSumExp(temperature) ? temperature : 1
  }

  get #vocabSize(): number {
    return this.#target.description.config.vocabSize
  }
}

function idsOf(
  proposed: readonly number[],
  affected: readonly number[],
  rows: readonly (SparseDistribution | undefined)[],
): number[] {
  const ids = new Set([...proposed, ...affected])
  for (const row of rows) for (const id of Array.from(row?.ids ?? [])) ids.add(id)
  return [...ids]
}
