import { renderChat, type ChatMessage, type Tokenizer } from '@plateau/model-files'
import { messageOf, PlateauError } from '@plateau/contracts'
import { badRequest } from '../request-errors.js'

/** How PLATEAU_CHAT_FORMAT turns messages into a prompt. */
export type ChatFormat = 'template' | 'roles' | 'plain'

export interface ChatPrompts {
  /** A conversation that the assistant is to continue, as token ids. Throws INVALID_ARGUMENT naming `messages`. */
  encode(messages: readonly ChatMessage[], options?: ChatEncoding): number[]
  /** Tokens that end the assistant's turn in this format, beside the model's own end tokens. */
  readonly endOfTurn: readonly number[]
}

export interface ChatEncoding {
  /** Open the assistant's turn; default true. */
  readonly addGenerationPrompt?: boolean
  /** Add the tokenizer's first token to what a template writes; default false. Other formats always have it. */
  readonly addSpecialTokens?: boolean
}

/**
 * `template`: the model's own, where it has one. Throws CHAT_TEMPLATE_INVALID, saying what to set instead, for a template
 * that cannot be rendered at all.
 */
export function chatPrompts(format: ChatFormat, template: string | undefined, tokenizer: Tokenizer): ChatPrompts {
  if (format !== 'template' || template === undefined) {
    const render = format === 'plain' ? joined : withRoles
    return { encode: (messages, options) => tokenizer.encode(render(messages, options)), endOfTurn: [] }
  }
  const render: Render = (messages, options) => renderChat(messages, template, tokenizer.specialTokens, options)
  // The template writes the first token itself, where the model wants one.
  const tokens = (text: string, addSpecialTokens = false): number[] => tokenizer.encode(text, { addSpecialTokens })
  return {
    encode: (messages, options) =>
      tokens(
        refusedAs(messages.length, () => render(messages, options)),
        options?.addSpecialTokens,
      ),
    endOfTurn: endOfTurn(render, tokens, tokenizer),
  }
}

type Render = (messages: readonly ChatMessage[], options?: ChatEncoding) => string

const REPLY = 'plateau'

/** The special token, if any, that the template writes right after what an assistant said. */
function endOfTurn(render: Render, tokens: (text: string) => number[], tokenizer: Tokenizer): number[] {
  let text: string
  try {
    text = render([
      { role: 'user', content: 'a' },
      { role: 'assistant', content: REPLY },
      { role: 'user', content: 'b' },
    ])
  } catch (error) {
    if (!(error instanceof PlateauError && error.code === 'CHAT_TEMPLATE_INVALID')) return []
    const advice = `${error.message}; set PLATEAU_CHAT_FORMAT=roles to do without it`
    throw new PlateauError(error.code, advice, { cause: error })
  }
  const at = text.indexOf(REPLY)
  const [next] = at < 0 ? [] : tokens(text.slice(at + REPLY.length).trimStart())
  return next !== undefined && tokenizer.decode([next]) === '' ? [next] : []
}

function refusedAs(messages: number, render: () => string): string {
  try {
    return render()
  } catch (error) {
    throw badRequest('messages', `the ${messages} messages cannot be made a prompt: ${messageOf(error)}`)
  }
}

function withRoles(messages: readonly ChatMessage[], options?: ChatEncoding): string {
  return renderChat(messages, undefined, {}, options)
}

function joined(messages: readonly ChatMessage[]): string {
  return messages.map(({ content }) => content).join('')
}
