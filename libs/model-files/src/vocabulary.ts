import { PlateauError } from '@plateau/contracts'
import { isJsonObject } from './json-object.js'

/**
 * That the model has an embedding for every token; it may have more, vocabularies are padded. Throws
 * TOKENIZER_MISMATCH. What is no vocabulary by token is left to whoever loads the tokenizer.
 */
export function requireEmbeddings(tokenizerJson: Uint8Array, file: string, rows: number): void {
  const highest = highestToken(tokenizerJson)
  if (highest === undefined || highest.id < rows) return
  throw new PlateauError(
    'TOKENIZER_MISMATCH',
    `${file} has token ${highest.id} (${JSON.stringify(highest.token)}), and the model embeddings for ${rows}: ` +
      'they do not belong together',
    { facts: { file, tokenId: highest.id, embeddings: rows } },
  )
}

interface Token {
  readonly token: string
  readonly id: number
}

function highestToken(json: Uint8Array): Token | undefined {
  const parsed = parse(json)
  const model = isJsonObject(parsed) ? parsed['model'] : undefined
  const vocab = isJsonObject(model) && isJsonObject(model['vocab']) ? Object.entries(model['vocab']) : []
  const added = isJsonObject(parsed) && Array.isArray(parsed['added_tokens']) ? parsed['added_tokens'] : []
  let highest: Token | undefined
  const see = (token: unknown, id: unknown): void => {
    if (typeof id === 'number' && id > (highest?.id ?? -1)) highest = { token: String(token), id }
  }
  for (const [token, id] of vocab) see(token, id)
  for (const each of added) if (isJsonObject(each)) see(each['content'], each['id'])
  return highest
}

function parse(json: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(json.buffer, json.byteOffset, json.byteLength).toString('utf8'))
  } catch {
    return undefined
  }
}
