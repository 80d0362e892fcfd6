import type { target } from '@plateau/contracts'
import type { ScoredRow } from './scored-row.js'

/**
 * Raw log probabilities of emitted tokens: the token's own and those of the `count` - 1 most probable ones, as far as the
 * step lists them. Empty where `count` is 0.
 */
export async function tokenLogProbs(
  tokens: readonly number[],
  rows: readonly ScoredRow[],
  count: number,
): Promise<target.TokenLogProbs[]> {
  if (count === 0) return []
  return Promise.all(
    tokens.map(async (token, i) => {
      const row = rows[i]!
      return {
        logProb: await row.logProb(token),
        topIds: Array.from(row.topIds.subarray(0, count - 1)),
        topLogProbs: Array.from(row.topLogits.subarray(0, count - 1), (logit) => logit - row.logSumExp),
      }
    }),
  )
}
