import { setTimeout as sleep } from 'node:timers/promises'
import type { TokenWindow } from '@plateau/contracts'
import { complete } from './completions.js'
import type { Observer } from './observer.js'
import type { GreedyAnswer } from './traffic.js'

export interface GreedyCheck {
  readonly tokens: number
  /** Tokens that were not the most probable one of the distribution that verified them. */
  readonly notBest: number
}

/** Label of the answers that are asked again: by it their windows are found. */
const LABEL = 'greedy check'
const WAIT_MS = 20_000

/**
 * Asks the same greedily and with speculation once more, and looks at the captured distributions: every token must be the
 * most probable one of the very p that verified it. This has no tolerance. Plain decoding computes in other shapes, and
 * with rounded weights its p is another one within rounding.
 */
export async function checkGreedy(
  url: string,
  observer: Observer,
  answers: readonly GreedyAnswer[],
): Promise<GreedyCheck> {
  let tokens = 0
  for (const { request } of answers) {
    const { tokenIds } = await complete(url, { ...request, stream: false, domain: LABEL })
    tokens += tokenIds.length
  }
  const windows = await captured(observer, tokens)
  return { tokens, notBest: windows.reduce((sum, window) => sum + notBestIn(window), 0) }
}

async function captured(observer: Observer, tokens: number): Promise<TokenWindow[]> {
  const until = Date.now() + WAIT_MS
  for (;;) {
    const found = observer.windows.map(({ window }) => window).filter(({ domain }) => domain === LABEL)
    const seen = found.reduce((sum, { tokenIds }) => sum + tokenIds.length, 0)
    if (seen >= tokens) return found
    if (observer.failure) throw observer.failure
    if (Date.now() > until) throw new Error(`only ${seen} of ${tokens} greedy tokens were captured`)
    await sleep(100)
  }
}

function notBestIn({ tokenIds, top }: TokenWindow): number {
  return tokenIds.filter((token, i) => top!.ids[i * top!.k] !== token).length
}
