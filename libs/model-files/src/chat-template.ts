import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseJsonObject } from './json-object.js'

export interface ChatMessage {
  readonly role: string
  readonly content: string
}

/**
 * A conversation as one prompt, for models without a chat template: "role: content" lines and an open "assistant:".
 * Models' own Jinja templates are not rendered.
 */
export function renderChat(messages: readonly ChatMessage[]): string {
  return [...messages.map(({ role, content }) => `${role}: ${content}\n`), 'assistant:'].join('')
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
