/** What the serving thread and the thread that builds drafts say to each other. */
import { messageOf, PlateauError, type ErrorFacts } from '@plateau/contracts'
import type { BuildRequest, BuiltDraft, DraftBuilderOptions } from './build-draft.js'

export interface ThreadData {
  readonly builder: DraftBuilderOptions
  /** [1], shared: the number of the newest build that nobody waits for any more. */
  readonly abandoned: Int32Array
}

export type ToBuildThread =
  | { readonly say: 'build'; readonly build: number; readonly request: BuildRequest }
  | { readonly say: 'file'; readonly read: number; readonly bytes: Uint8Array }
  | { readonly say: 'no file'; readonly read: number; readonly error: SentError }

export type FromBuildThread =
  | { readonly say: 'built'; readonly build: number; readonly draft: BuiltDraft }
  | { readonly say: 'failed'; readonly build: number; readonly error: SentError }
  /** The store stays with the serving thread: whatever it is, it reads there. */
  | { readonly say: 'read'; readonly read: number; readonly path: string; readonly maxBytes: number }

/** An error without its class, which no message keeps. */
export interface SentError {
  readonly message: string
  readonly code?: string
  readonly facts?: ErrorFacts
  readonly retryable?: boolean
  readonly cause?: string
}

export function sentError(error: unknown): SentError {
  if (!(error instanceof PlateauError)) return { message: messageOf(error) }
  const { message, code, facts, retryable, cause } = error
  return { message, code, facts, retryable, ...(cause === undefined ? {} : { cause: messageOf(cause) }) }
}

export function receivedError({ message, code, facts = {}, retryable = false, cause }: SentError): Error {
  const because = cause === undefined ? {} : { cause: new Error(cause) }
  return code === undefined
    ? new Error(message, because)
    : new PlateauError(code, message, { facts, retryable, ...because })
}
