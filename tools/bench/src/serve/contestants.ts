/** Who answers in `bench serve`. */
import type { Tokenizer } from '@plateau/model-files'
import type { Arrival } from '../live/streamed-completion.js'
import { streamCompletion } from '../live/streamed-completion.js'
import type { LlamaCppEngine } from '../llama-cpp/engine.js'

export interface Question {
  readonly prompt: string
  readonly domain: string
  readonly temperature: number
  readonly seed: number
  readonly maxTokens: number
}

/** What a client saw of an answer; times are `performance.now()`. */
export interface Answered {
  readonly startedMs: number
  /** At least one. */
  readonly arrivals: readonly Arrival[]
  readonly tokens: number
  /** Rounds with a proposal. */
  readonly drafts: number
}

export type ContestantName = 'plain' | 'speculative' | 'llama.cpp'

/** Answers clients that ask at once, each one question after the other. */
export interface Answering {
  /** `client`: from 0. */
  ask(question: Question, client: number): Promise<Answered>
  close(): Promise<void>
}

export interface Contestant {
  readonly name: ContestantName
  open(clients: number): Promise<Answering>
}

/** Over HTTP, as any client; nothing is captured. */
export function served(url: string, speculate: boolean): Contestant {
  const ask = (question: Question): Promise<Answered> =>
    streamCompletion(url, { ...question, speculate, capture: false })
  return { name: speculate ? 'speculative' : 'plain', open: async () => ({ ask, close: async () => {} }) }
}

/** In this process, without HTTP or a text to make: what a client of a server would see cannot be better. */
export function llamaCpp(engine: LlamaCppEngine, tokenizer: Tokenizer, contextTokens: number): Contestant {
  return {
    name: 'llama.cpp',
    open: async (clients) => {
      const sequences = await engine.openSequences({ count: clients, contextTokens })
      const ask = async (question: Question, client: number): Promise<Answered> => {
        const startedMs = performance.now()
        const prompt = tokenizer.encode(question.prompt, { addSpecialTokens: false })
        const arrivals: Arrival[] = []
        for await (const _ of sequences.one(prompt, question, client)) {
          arrivals.push({ atMs: performance.now(), tokens: 1 })
          if (arrivals.length === question.maxTokens) break
        }
        await sequences.clear(client)
        return { startedMs, arrivals, tokens: arrivals.length, drafts: 0 }
      }
      return { ask, close: () => sequences.close() }
    },
  }
}
