import type { ChatMessage, Tokenizer } from '@plateau/model-files'
import { badRequest } from '../request-errors.js'
import type { ChatPrompts } from './chat-prompt.js'
import { FieldReader, MAX_NAME_LENGTH } from './field-reader.js'
import { checkTokenIds } from './token-ids.js'

export interface Prompt {
  readonly tokenIds: readonly number[]
  /** As it was given, or as its tokens read. */
  readonly text: string
}

export const MAX_PROMPTS = 16

const RULE = `prompt must be a string, a list of token ids, or a list of up to ${MAX_PROMPTS} of either`

/** The prompts of a completion: a text, token ids, or several of them. */
export function completionPrompts(fields: FieldReader, tokenizer: Tokenizer): Prompt[] {
  const value = fields.take('prompt')
  if (value === undefined) throw badRequest('prompt', 'prompt is missing')
  const several = Array.isArray(value) && value.some((item) => typeof item !== 'number')
  if (!several) return [promptOf(value, tokenizer)]
  if (value.length > MAX_PROMPTS) throw badRequest('prompt', RULE)
  return value.map((prompt) => promptOf(prompt, tokenizer))
}

/** The one prompt of a chat: its conversation. */
export function chatPrompt(fields: FieldReader, chat: ChatPrompts, tokenizer: Tokenizer): Prompt {
  const tokenIds = chat.encode(chatMessages(fields))
  return { tokenIds, text: tokenizer.decode(tokenIds) }
}

export function chatMessages(fields: FieldReader): ChatMessage[] {
  const value = fields.take('messages')
  if (!Array.isArray(value) || value.length === 0)
    throw badRequest('messages', 'messages must be a list of at least one message')
  return value.map((message, i) => chatMessage(message, `messages[${i}]`))
}

function promptOf(value: unknown, tokenizer: Tokenizer): Prompt {
  if (typeof value === 'string') return { tokenIds: tokenizer.encode(value), text: value }
  const tokenIds = checkTokenIds(value, 'prompt', tokenizer, RULE)
  return { tokenIds, text: tokenizer.decode(tokenIds) }
}

function chatMessage(value: unknown, path: string): ChatMessage {
  const fields = new FieldReader(value, path)
  const role = fields.text('role', MAX_NAME_LENGTH)
  if (role === undefined) throw badRequest(`${path}.role`, `${path}.role is missing`)
  const content = messageText(fields.take('content'), `${path}.content`)
  fields.ignore('name')
  fields.only('refusal', [], 'only text can be read')
  fields.done()
  return { role, content }
}

/** A string, or OpenAI's list of parts, of which only text is understood. */
function messageText(value: unknown, path: string): string {
  if (typeof value === 'string') return value
  if (!Array.isArray(value)) throw badRequest(path, `${path} must be a string or a list of text parts`)
  return value
    .map((part, i) => {
      const fields = new FieldReader(part, `${path}[${i}]`)
      fields.only('type', ['text'], 'only text can be read')
      const text = fields.text('text', Number.MAX_SAFE_INTEGER)
      if (text === undefined) throw badRequest(`${path}[${i}].text`, `${path}[${i}].text is missing`)
      fields.done()
      return text
    })
    .join('')
}
