import { Template } from '@huggingface/jinja'
import { messageOf, PlateauError } from '@plateau/contracts'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseJsonObject } from './json-object.js'

export interface ChatMessage {
  readonly role: string
  readonly content: string
}

/** Texts of a model's first and last token, for templates that write them out. */
export interface SpecialTokens {
  readonly bosToken?: string | undefined
  readonly eosToken?: string | undefined
}

/**
 * A conversation as one prompt that the assistant is to continue: by the model's own Jinja template, or without one as
 * "role: content" lines and an open "assistant:". Without `addGenerationPrompt` nothing is opened. A template writes the first token itself where the model wants one:
 * encode its result without adding another. Some templates write today's date. Throws CHAT_TEMPLATE_INVALID for a
 * template that cannot be parsed, CHAT_TEMPLATE_REFUSED when it does not take these messages (roles that must alternate,
 * say).
 */
export function renderChat(
  messages: readonly ChatMessage[],
  template?: string,
  { bosToken = '', eosToken = '' }: SpecialTokens = {},
  { addGenerationPrompt = true }: { readonly addGenerationPrompt?: boolean } = {},
): string {
  if (template === undefined) {
    const lines = messages.map(({ role, content }) => `${role}: ${content}\n`)
    return [...lines, addGenerationPrompt ? 'assistant:' : ''].join('')
  }
  const compiled = parse(template)
  try {
    // As transformers does: what is not used is none, for templates that ask "tools is not none".
    const unused = { tools: null, documents: null }
    const special = { bos_token: bosToken, eos_token: eosToken }
    return compiled.render({ messages, ...special, ...unused, add_generation_prompt: addGenerationPrompt })
  } catch (cause) {
    const problem = `the model's chat template does not take these messages: ${short(messageOf(cause))}`
    throw new PlateauError('CHAT_TEMPLATE_REFUSED', problem, { cause })
  }
}

/** A service has one model, so one template, for all its requests. */
let parsed: { readonly template: string; readonly compiled: Template } | undefined

function parse(template: string): Template {
  try {
    if (parsed?.template !== template) parsed = { template, compiled: new Template(template) }
    return parsed.compiled
  } catch (cause) {
    const problem = `the model's chat template is not one that can be rendered: ${short(messageOf(cause))}`
    throw new PlateauError('CHAT_TEMPLATE_INVALID', problem, { cause })
  }
}

function short(message: string): string {
  const line = message.replaceAll(/\s+/g, ' ').trim()
  return line.length > 200 ? `${line.slice(0, 200)}...` : line
}

/** The text of the directory's template: chat_template.jinja, or chat_template in tokenizer_config.json. */
export async function readChatTemplate(directory: string): Promise<string | undefined> {
  const file = await readFile(join(directory, 'chat_template.jinja'), 'utf8').catch(() => undefined)
  if (file !== undefined) return file
  const path = join(directory, 'tokenizer_config.json')
  const json = await readFile(path, 'utf8').catch(() => '{}')
  return namedTemplate(parseJsonObject(json, path, 'TOKENIZER_INVALID')['chat_template'])
}

/** A template, or several by name of which "default" is for chats. */
function namedTemplate(value: unknown): string | undefined {
  if (typeof value === 'string') return value
  if (!Array.isArray(value)) return undefined
  const chosen = (value as { name?: unknown; template?: unknown }[]).find(({ name }) => name === 'default')
  return typeof chosen?.template === 'string' ? chosen.template : undefined
}
