/**
 * An operator's own code between capture and the event log: sees every window before it is published, and may change it
 * or keep it back. It runs in the publisher's loop, never in a request.
 */
import { messageOf, PlateauError, TokenWindow } from '@plateau/contracts'
import { loadTokenizer } from '@plateau/model-files'
import { pathToFileURL } from 'node:url'

export interface RedactionTools {
  /** Text of these tokens, without special tokens. */
  text(tokenIds: readonly number[]): string
}

/** Synchronous. Undefined: the window is not published. */
export type Redaction = (window: TokenWindow, tools: RedactionTools) => TokenWindow | undefined

export type Redacted =
  | { readonly kind: 'kept' | 'dropped' }
  | { readonly kind: 'changed'; readonly value: Uint8Array }
  | { readonly kind: 'failed'; readonly error: unknown }

/** The redaction of an ES module, with the target's tokenizer. Throws REDACTION_MODULE_INVALID. */
export async function openRedaction(modulePath: string, modelPath: string): Promise<(value: Uint8Array) => Redacted> {
  const redaction = await loadRedaction(modulePath)
  const tokenizer = await loadTokenizer(modelPath)
  // A padded vocabulary has ids that no text belongs to.
  const text = (ids: readonly number[]) => tokenizer.decode(ids.filter((id) => id < tokenizer.vocabSize))
  return (value) => redact(value, redaction, { text })
}

async function loadRedaction(path: string): Promise<Redaction> {
  const invalid = (problem: string, cause?: unknown) => {
    const message = `the redaction module ${path} ${problem}; its default export must be a synchronous function`
    return new PlateauError('REDACTION_MODULE_INVALID', message, { facts: { path }, cause })
  }
  let loaded: { readonly default?: unknown }
  try {
    loaded = (await import(pathToFileURL(path).href)) as typeof loaded
  } catch (cause) {
    throw invalid(`cannot be loaded: ${messageOf(cause)}`, cause)
  }
  const found = loaded.default
  if (typeof found !== 'function') throw invalid(`has ${found === undefined ? 'none' : `${typeof found} there`}`)
  if (found.constructor.name === 'AsyncFunction') throw invalid('has an async function there')
  return found as Redaction
}

/**
 * Applies a redaction to a window as it would be published. Never throws: what fails is not published. What is published
 * is what was returned, whether it is another window or the same one changed in place.
 */
export function redact(value: Uint8Array, redaction: Redaction, tools: RedactionTools): Redacted {
  try {
    const window = TokenWindow.decode(value)
    const { sampleId, windowIndex } = window
    const returned: unknown = redaction(window, tools)
    if (returned === undefined) return { kind: 'dropped' }
    const allowed = windowOf(returned)
    if (allowed.sampleId !== sampleId || allowed.windowIndex !== windowIndex) {
      throw new TypeError('a redaction must leave a window its sample and index')
    }
    const bytes = TokenWindow.encode(allowed).finish()
    return Buffer.compare(bytes, value) === 0 ? { kind: 'kept' } : { kind: 'changed', value: bytes }
  } catch (error) {
    return { kind: 'failed', error }
  }
}

function windowOf(returned: unknown): TokenWindow {
  if (returned instanceof Promise) {
    returned.catch(() => {})
    throw new TypeError('a redaction must answer at once, not by a promise')
  }
  if (typeof returned !== 'object' || returned === null || !('tokenIds' in returned)) {
    throw new TypeError(`a redaction must return a window or undefined, not ${typeof returned}`)
  }
  return returned as TokenWindow
}

/** Where an error came from, without its message: that may quote the text. */
export function placeOf(error: unknown): { readonly name: string; readonly at: string | undefined } {
  if (!(error instanceof Error)) return { name: typeof error, at: undefined }
  const { name, message, stack = '' } = error
  const quoted = stack.indexOf(message)
  const frames = quoted < 0 ? [] : stack.slice(quoted + message.length).split('\n')
  return { name, at: frames.find((line) => /^\s+at /.test(line))?.trim() }
}
