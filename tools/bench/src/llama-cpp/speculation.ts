import type { Timed } from '../timed-completion.js'
import type { LlamaCppEngine } from './engine.js'

export interface LlamaCppAnswer {
  readonly prompt: readonly number[]
  readonly maxTokens: number
  readonly temperature: number
  readonly seed: number
}

/** One response until the model ends it or `maxTokens`; its prompt is not counted. */
export async function timedAnswer(
  engine: LlamaCppEngine,
  answer: LlamaCppAnswer,
  promptLookup: boolean,
): Promise<Timed> {
  const contextTokens = answer.prompt.length + answer.maxTokens + 16
  const sequences = await engine.openSequences({ count: 1, contextTokens, promptLookup })
  try {
    const response = sequences.one(answer.prompt, answer)
    await response.next()
    const startMs = performance.now()
    let tokens = 0
    while (tokens < answer.maxTokens - 1 && (await response.next()).done !== true) tokens++
    const seconds = (performance.now() - startMs) / 1000
    await response.return()
    return { tokens, seconds }
  } finally {
    await sequences.close()
  }
}
