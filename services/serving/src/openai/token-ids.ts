import type { Tokenizer } from '@plateau/model-files'
import { badRequest } from '../request-errors.js'

/** A list of ids of the tokenizer's; throws INVALID_ARGUMENT that says `rule` and which item breaks it. */
export function checkTokenIds(value: unknown, name: string, tokenizer: Tokenizer, rule: string): number[] {
  if (!Array.isArray(value)) throw badRequest(name, rule)
  const wrong = value.findIndex(
    (id) => !Number.isInteger(id) || (id as number) < 0 || (id as number) >= tokenizer.vocabSize,
  )
  if (wrong >= 0) throw badRequest(name, `${rule}, ids from 0 to ${tokenizer.vocabSize - 1}; item ${wrong} is not`)
  return value as number[]
}
