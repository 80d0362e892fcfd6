import type { Asked } from '../access/quotas.js'
import { badRequest } from '../request-errors.js'
import type { ServingEngine } from '../serving-engine.js'
import type { OpenAiRequest } from './parse-request.js'

/** Most tokens that the choices of one request may have together. */
const MAX_TOTAL_TOKENS = 262_144

/**
 * What a request wants before it starts: every prompt once, and as many tokens as its choices may have. Throws
 * INVALID_ARGUMENT for lengths that do not fit, and for more than one request may want.
 */
export function askedOf(request: OpenAiRequest, engine: ServingEngine, maxChoices: number): Asked {
  const { n, prompts, generations } = request
  const field = generations[0]!.fields.maxTokens
  const responses = prompts.length > 1 && n === 1 ? 'prompt' : 'n'
  if (generations.length > maxChoices) {
    const message = `${prompts.length} prompts with n=${n} are ${generations.length} choices; here there may be ${maxChoices}`
    throw badRequest(responses, message)
  }
  let promptTokens = 0
  let generated = 0
  for (const [i, { tokenIds }] of prompts.entries()) {
    promptTokens += tokenIds.length
    generated += n * engine.maxTokensOf(generations[i * n]!)
  }
  if (generated > MAX_TOTAL_TOKENS && generations.length > 1) {
    const message = `${generations.length} choices of up to ${field} would be ${generated} tokens; a request may have ${MAX_TOTAL_TOKENS}`
    throw badRequest(field, message)
  }
  return { tokens: promptTokens + generated, responses: generations.length, fields: { tokens: field, responses } }
}
