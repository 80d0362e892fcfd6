import { target } from '@plateau/contracts'

export interface SelftestCase {
  readonly name: string
  readonly temperature: number
  /** Penalties, biases and top_p: what must be applied alike to p and q. */
  readonly isProcessed: boolean
}

const TEMPERATURES = [0, 0.6, 1]

export const selftestCases: readonly SelftestCase[] = TEMPERATURES.flatMap((temperature) => [
  { name: `${temperature}`, temperature, isProcessed: false },
  { name: `${temperature}, penalties, bias, top_p`, temperature, isProcessed: true },
])

/** The request's settings. `biased` is a token whose probability is raised a little. */
export function samplingOf(
  { temperature, isProcessed }: SelftestCase,
  { maxTokens, seed, biased }: { readonly maxTokens: number; readonly seed: number; readonly biased: number },
): target.SamplingParams {
  const processed = {
    presencePenalty: 0.4,
    frequencyPenalty: 0.3,
    repetitionPenalty: 1.1,
    logitBias: { [biased]: 1 },
    topP: 0.9,
  }
  return target.SamplingParams.fromPartial({
    temperature,
    topP: 1,
    seed,
    maxTokens,
    // Responses of one length: what is compared does not depend on when a model stops.
    ignoreEos: true,
    ...(isProcessed ? processed : {}),
  })
}

/** Text that most tokenizers know, of several kinds. */
export const builtInPrompts: readonly string[] = [
  'The capital of France is',
  'Once upon a time there was a small dog who lived',
  'function add(a, b) {\n  return',
  'Mr. President, distinguished members of the Congress, my fellow citizens:',
  'Die Sonne scheint, und die Kinder spielen im',
  '1, 2, 3, 4, 5, 6,',
]
