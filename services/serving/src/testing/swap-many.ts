/** What a server does all day, fast: one version after the other is loaded, proposes, and takes the last one's place. */
import type { DraftCheckpoint } from '@plateau/contracts'
import { seededRandom, type Draft } from '@plateau/speculation'
import type { DraftLoader } from '../load-draft.js'

export interface SwapOptions {
  readonly swaps: number
  /** H; 0 for drafts that read tokens only. */
  readonly hiddenSize: number
  /** Told after every swap how many there were. */
  readonly onSwap?: (swaps: number) => void
}

/** Swaps through the announced versions, again and again; at the end everything is released. */
export async function swapMany(
  loader: DraftLoader,
  announced: readonly DraftCheckpoint[],
  { swaps, hiddenSize, onSwap }: SwapOptions,
): Promise<void> {
  let live: Draft | undefined
  for (let swap = 1; swap <= swaps; swap++) {
    const next = announced[swap % announced.length]!
    const draft = await loader.load(next.lineage, next, 1)
    await live?.release()
    live = draft
    await respond(draft, hiddenSize)
    onSwap?.(swap)
  }
  await live?.release()
}

/** A short response: three rounds, in which all proposed tokens are accepted. */
async function respond(draft: Draft, hiddenSize: number): Promise<void> {
  const random = seededRandom(1)
  const features = (rows: number) => Float32Array.from({ length: rows * hiddenSize }, () => random() - 0.5)
  const session = draft.open({ tokens: [1, 2, 3], features: features(2) })
  for (let round = 0; round < 3; round++) {
    const { tokens } = await session.propose(4, { temperature: 1, topK: 0, topP: 1 }, random)
    session.adopt(tokens, features(tokens.length))
  }
  session.close()
}
