import { complete } from './completions.js'
import type { TargetClient } from './target-client.js'
import type { GreedyAnswer } from './traffic.js'

/**
 * Speculation checks several positions in one target step; plain decoding takes one. The two shapes round differently
 * in the last bits (up to 4e-6 in a logit, measured), so where the two tokens' logits are closer than this, either is the
 * target's own choice. Such partings are counted apart.
 */
export const nearTieGap = 1e-4

export interface LosslessResult {
  readonly checked: number
  readonly mismatches: number
  readonly nearTies: number
  /** One line per mismatch, without text. */
  readonly details: readonly string[]
}

/**
 * Decodes every greedy answer again, plainly, and compares the tokens. `tieGap`: how close two logits are that rounding
 * alone can swap; a target whose weights are rounded has a larger one (measureRounding).
 */
export async function compareWithPlain(
  url: string,
  target: TargetClient,
  answers: readonly GreedyAnswer[],
  tieGap = nearTieGap,
): Promise<LosslessResult> {
  let mismatches = 0
  let nearTies = 0
  const details: string[] = []
  for (const { request, completion } of answers) {
    const plain = await complete(url, { ...request, stream: false, disableSpeculation: true, capture: false })
    const at = firstDifference(completion.tokenIds, plain.tokenIds)
    if (at === undefined) continue
    const gap = await logitGap(
      target,
      request.prompt,
      plain.tokenIds.slice(0, at),
      completion.tokenIds[at],
      plain.tokenIds[at],
    )
    if (gap < tieGap) nearTies++
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

/** How far apart the target's own logits of two tokens are after the same text; infinite where one answer just ended. */
async function logitGap(
  target: TargetClient,
  prompt: string,
  before: readonly number[],
  one: number | undefined,
  other: number | undefined,
): Promise<number> {
  if (one === undefined || other === undefined) return Number.POSITIVE_INFINITY
  const [a, b] = await Promise.all([one, other].map((token) => target.score(prompt, [...before, token])))
  return Math.abs(a!.tokenLogProb.at(-1)! - b!.tokenLogProb.at(-1)!)
}
