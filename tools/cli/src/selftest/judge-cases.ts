import type { WeightFormat } from '@plateau/causal-lm'
import type { SelftestCase } from './selftest-cases.js'

export interface CaseResult extends SelftestCase {
  readonly proposed: number
  readonly accepted: number
  readonly alphaMean: number
  /** Of temperature 0: answers that are the same as by plain decoding. */
  readonly answers: number
  readonly equalAnswers: number
  /** Answers that part from plain decoding where two logits are so close that the step's shape decides. */
  readonly nearTies: number
}

export interface Judgement {
  readonly tolerance: number
  readonly failed: readonly CaseResult[]
  /** What it means, for a person; empty when nothing failed. */
  readonly meaning: string
}

/**
 * How much may be rejected of a draft that is the target itself, by the format that both multiply in. The draft computes
 * one position at a time, verification several in one step; the two shapes round differently.
 *
 *   f32   the last bits differ (about 4e-6 in a logit): at temperature 0 only ties can be rejected, else a share of 1e-5
 *   int8  activations are rounded to 8 bits before every product, and a last bit that changes one changes what follows:
 *         measured 0 to .013 for the demo's target, .03 to .06 for SmolLM2
 *   int4  the same; the draft has the weights in 8 bits: .04 to .07 for SmolLM2
 */
export const TOLERANCES: Readonly<Record<WeightFormat, number>> = { f32: 0.002, int8: 0.1, int4: 0.1 }

/** Of f32, in logits; of rounded weights every parting may be rounding, and only acceptance is judged. */
export const NEAR_TIE_GAP = 1e-4

export function judgeCases(results: readonly CaseResult[], weights: WeightFormat, tolerance: number): Judgement {
  const isLow = ({ accepted, proposed }: CaseResult): boolean => accepted < (1 - tolerance) * proposed
  const isParted = ({ answers, equalAnswers, nearTies }: CaseResult): boolean =>
    weights === 'f32' && equalAnswers + nearTies < answers
  const low = results.filter(isLow)
  const failed = results.filter((result) => isLow(result) || isParted(result))
  return { tolerance, failed, meaning: failed.length === 0 ? '' : meaningOf(results, low) }
}

function meaningOf(results: readonly CaseResult[], low: readonly CaseResult[]): string {
  if (low.length === 0) {
    return (
      'Every proposal is accepted, but the tokens are not those of plain decoding: what the stream emits is not what was ' +
      'verified, or plain decoding applies other penalties or biases.'
    )
  }
  const isAll = (those: (result: CaseResult) => boolean): boolean =>
    results.filter(those).every((result) => low.includes(result)) && low.every(those)
  if (isAll(({ isProcessed }) => isProcessed)) {
    return (
      'Only requests with penalties, biases or top_p are rejected: the target applies them otherwise than the draft, in ' +
      'another order, or not at all. Are both ends of the same build?'
    )
  }
  if (isAll(({ temperature }) => temperature > 0)) {
    return (
      'Greedy proposals are accepted and drawn ones are not: the q that is sent is not the distribution that tokens were ' +
      'drawn from, or p and q differ in their temperature.'
    )
  }
  return (
    'Proposals are rejected too often whatever the settings: the target multiplies in another format than --weights says, its model files are ' +
    'others than --model has under the same fingerprint, or tokens are shifted by a position (a tokenizer that adds a ' +
    'beginning at one end only).'
  )
}
