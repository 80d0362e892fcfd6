import type { Tokenizer } from '@plateau/model-files'
import { badRequest } from '../request-errors.js'
import type { ChatPrompts } from './chat-prompt.js'
import { FieldReader } from './field-reader.js'
import { requireModel } from './parse-request.js'
import { chatMessages } from './prompt-fields.js'
import { checkTokenIds } from './token-ids.js'

export interface TokenizeOptions {
  readonly model: string
  readonly tokenizer: Tokenizer
  readonly chat: ChatPrompts
  /** The longest prompt plus response; undefined while no target has said it. */
  readonly maxModelLength: number | undefined
}

/** POST /tokenize as vLLM's: a text or a conversation as token ids. Throws INVALID_ARGUMENT naming the field. */
export function tokenize(body: unknown, { model, tokenizer, chat, maxModelLength }: TokenizeOptions): object {
  const fields = new FieldReader(body)
  requireModel(fields, model)
  const isChat = fields.take('messages') !== undefined
  const tokens = isChat ? conversation(fields, chat) : text(fields, tokenizer)
  const wantsNames = fields.flag('return_token_strs') ?? false
  fields.done()
  return {
    count: tokens.length,
    max_model_len: maxModelLength ?? null,
    tokens,
    token_strs: wantsNames ? tokens.map((id) => tokenizer.nameOf(id)) : null,
  }
}

/** POST /detokenize as vLLM's: the text of token ids, without special tokens. */
export function detokenize(body: unknown, { model, tokenizer }: TokenizeOptions): object {
  const fields = new FieldReader(body)
  requireModel(fields, model)
  const tokens = checkTokenIds(fields.take('tokens'), 'tokens', tokenizer, 'tokens must be a list of token ids')
  fields.done()
  return { prompt: tokenizer.decode(tokens) }
}

function conversation(fields: FieldReader, chat: ChatPrompts): number[] {
  const messages = chatMessages(fields)
  const addGenerationPrompt = fields.flag('add_generation_prompt') ?? true
  const addSpecialTokens = fields.flag('add_special_tokens') ?? false
  fields.only('continue_final_message', [false], 'every message is closed')
  return chat.encode(messages, { addGenerationPrompt, addSpecialTokens })
}

function text(fields: FieldReader, tokenizer: Tokenizer): number[] {
  const prompt = fields.text('prompt', Number.MAX_SAFE_INTEGER)
  if (prompt === undefined) throw badRequest('prompt', 'either prompt or messages must be given')
  return tokenizer.encode(prompt, { addSpecialTokens: fields.flag('add_special_tokens') ?? true })
}
