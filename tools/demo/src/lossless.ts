import { unpackTopK } from '@plateau/contracts'
import { complete } from './completions.js'
import type { TargetClient } from './target-client.js'
import type { GreedyAnswer } from './traffic.js'

/**
 * Speculation checks several positions in one target step; plain decoding takes one. The two shapes round differently
 * in the last bits, so where the two best logits are closer than this (natural log of the probability ratio), either
 * token is the target's own choice. Such partings are counted apart.
 */
export const nearTieGap = 2e-3

export interface LosslessResult {
  readonly checked: number
  readonly mismatches: number
  readonly nearTies: number
  /** One line per mismatch, without text. */
  readonly details: readonly string[]
}

/** Decodes every greedy answer again, plainly, and compares the tokens. */
export async function compareWithPlain(
  url: string,
  target: TargetClient,
  answers: readonly GreedyAnswer[],
): Promise<LosslessResult> {
  let mismatches = 0
  let nearTies = 0
  const details: string[] = []
  for (const { request, completion } of answers) {
    const plain = await complete(url, { ...request, stream: false, disableSpeculation: true, capture: false })
    const at = firstDifference(completion.tokenIds, plain.tokenIds)
    if (at === undefined) continue
    const gap = await topGap(target, request.prompt, plain.tokenIds, at)
    if (gap < nearTieGap) nearTies++
    else {
      mismatches++
      const sides = `${completion.tokenIds[at]} against ${plain.tokenIds[at]} plainly`
      details.push(`draft ${completion.draftVersion}: position ${at} is ${sides}, logit gap ${gap.toExponential(2)}`)
    }
  }
  return { checked: answers.length, mismatches, nearTies, details }
}

/** Index of the first token that differs; a missing token differs from any. */
function firstDifference(a: readonly number[], b: readonly number[]): number | undefined {
  const length = Math.max(a.length, b.length)
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return i
  return undefined
}

/** Difference of the two best logits at `position` of the plain answer. */
async function topGap(
  target: TargetClient,
  prompt: string,
  tokenIds: readonly number[],
  position: number,
): Promise<number> {
  // One more token than the position, so that the distribution the choice was made from is scored.
  const window = await target.score(prompt, [...tokenIds.slice(0, position), tokenIds[position] ?? 0])
  const k = window.top!.k
  const probs = unpackTopK(window.top!).subarray(position * k, position * k + 2)
  return Math.log(probs[0]!) - Math.log(probs[1]!)
}
