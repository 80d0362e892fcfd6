import type { Observer } from './observer.js'
import type { TargetClient } from './target-client.js'

export interface RoundingOptions {
  readonly prompts: readonly string[]
  readonly maxTokens: number
}

const WAIT_MS = 10_000

/**
 * How far the target's own log probabilities lie apart when it computes the same position in a step of one and in a step
 * of many: the largest difference over greedy answers, decoded token by token and then scored whole. All are asked for at
 * once, as traffic is: prompts are then cut as they are beside other responses. Nothing is speculated. With weights of 8
 * bits it is thousands of times what f32 shows. Two tokens whose logits lie closer than twice that can change places.
 */
export async function measureRounding(
  target: TargetClient,
  observer: Observer,
  { prompts, maxTokens }: RoundingOptions,
): Promise<number> {
  const differences = prompts.map(async (prompt, i) => {
    const sampleId = `rounding-${i}-${Date.now()}`
    const promptIds = target.tokenizer.encode(prompt)
    await target.generate(promptIds, { maxTokens, temperature: 0, seed: 1, sampleId, untilEnd: true })
    const windows = await observer.windowsOf(sampleId, WAIT_MS)
    const { tokenLogProb } = await target.scoreTokens(
      promptIds,
      windows.flatMap(({ tokenIds }) => tokenIds),
    )
    const decoded = windows.flatMap((window) => window.tokenLogProb)
    return Math.max(...decoded.map((logProb, at) => Math.abs(logProb - tokenLogProb[at]!)))
  })
  return Math.max(...(await Promise.all(differences)))
}
