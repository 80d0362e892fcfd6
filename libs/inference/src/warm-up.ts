import type { Draft, Sampling } from '@plateau/speculation'

const greedy: Sampling = { temperature: 0, topK: 0, topP: 1 }

/**
 * Lets a draft propose once before anybody waits for it: the first run of a session allocates, and finds code and weights
 * out of the caches (two to three times as long as the next).
 *
 * @param hiddenSize of the features that it is fed with
 */
export async function warmUp<D extends Draft>(draft: D, hiddenSize: number): Promise<D> {
  const session = draft.open({ tokens: [0], features: new Float32Array(hiddenSize) })
  try {
    await session.propose(2, greedy, () => 0)
  } catch (error) {
    session.close()
    await draft.release()
    throw error
  }
  session.close()
  return draft
}
