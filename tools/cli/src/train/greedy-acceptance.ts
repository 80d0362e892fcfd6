import { seededRandom, type Draft, type Sampling } from '@plateau/speculation'
import type { HeldOutWindow } from './training-data.js'

export interface GreedyAcceptance {
  readonly domain: string
  readonly rounds: number
  /** 1 + accepted / rounds: the token that follows the accepted ones is counted. */
  readonly acceptanceLength: number
  /** Of the rounds that got so far, the share whose first, second, ... proposed token was accepted. */
  readonly byPosition: readonly number[]
}

const GREEDY: Sampling = { temperature: 0, topK: 0, topP: 1 }

/**
 * Replays recorded greedy answers with the draft as serving runs it: `gamma` proposals a round from the target's own
 * states, accepted as far as they are what the target said. Only answers that are greedy throughout can be replayed.
 */
export async function replayGreedy(
  draft: Draft,
  windows: readonly HeldOutWindow[],
  hiddenSize: number,
  gamma: number,
): Promise<GreedyAcceptance[]> {
  const found: GreedyAcceptance[] = []
  for (const [domain, ofDomain] of Object.entries(groupBy(windows.filter(({ isGreedy }) => isGreedy)))) {
    const accepted: number[] = []
    for (const window of ofDomain) accepted.push(...(await replayWindow(draft, window, hiddenSize, gamma)))
    if (accepted.length > 0) found.push({ domain, ...summary(accepted, gamma) })
  }
  return found
}

/** Of the tokens that each round accepted. */
function summary(accepted: readonly number[], gamma: number): Omit<GreedyAcceptance, 'domain'> {
  const roundsWith = (atLeast: number) => accepted.filter((count) => count >= atLeast).length
  const byPosition = Array.from({ length: gamma }, (_, k) => roundsWith(k + 1) / Math.max(1, roundsWith(k)))
  const total = accepted.reduce((sum, count) => sum + count, 0)
  return { rounds: accepted.length, acceptanceLength: 1 + total / accepted.length, byPosition }
}

/** How many tokens each round accepted. */
async function replayWindow(
  draft: Draft,
  { rows }: HeldOutWindow,
  hiddenSize: number,
  gamma: number,
): Promise<number[]> {
  const featuresOf = (from: number, to: number) => rows.features.slice(from * hiddenSize, to * hiddenSize)
  const random = seededRandom(1)
  const session = draft.open({ tokens: [rows.tokens[0]!], features: featuresOf(0, 1) })
  const counts: number[] = []
  try {
    // Row r's token is known; the draft is asked for those of rows r + 1, ...
    for (let r = 0; r + gamma + 1 < rows.length;) {
      const { tokens } = await session.propose(gamma, GREEDY, random)
      let accepted = 0
      while (accepted < tokens.length && tokens[accepted] === rows.tokens[r + 1 + accepted]) accepted++
      counts.push(accepted)
      const next = r + 1 + accepted
      session.adopt([...rows.tokens.subarray(r + 1, next + 1)], featuresOf(r + 1, next + 1))
      r = next
    }
  } finally {
    session.close()
  }
  return counts
}

function groupBy(windows: readonly HeldOutWindow[]): Record<string, HeldOutWindow[]> {
  const groups: Record<string, HeldOutWindow[]> = {}
  for (const window of windows) (groups[window.domain] ??= []).push(window)
  return groups
}
