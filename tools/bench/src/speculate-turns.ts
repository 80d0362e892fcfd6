/** Everyone answers the same prompts in turn: plain, with our proposals, and llama.cpp without and with its own. */
import type { Cluster, PromptSet } from '@plateau/demo'
import type { Tokenizer } from '@plateau/model-files'
import { progress } from './bench-error.js'
import { draftedRounds, MetricsSnapshot, type DraftedRounds } from './live-metrics.js'
import type { LlamaCppEngine } from './llama-cpp/engine.js'
import { timedAnswer } from './llama-cpp/speculation.js'
import { timedCompletion, type Timed } from './timed-completion.js'

export const contestantNames = ['plain', 'speculative', 'lookup only', 'llama.cpp', 'llama.cpp lookup'] as const
export type ContestantName = (typeof contestantNames)[number]

export interface TurnsOptions {
  readonly cluster: Cluster
  /** Without a draft: copies from the text are all that it proposes. */
  readonly lookupOnly: Cluster | undefined
  readonly llamaCpp: LlamaCppEngine | undefined
  readonly tokenizer: Tokenizer
  readonly domains: readonly PromptSet[]
  readonly temperatures: readonly number[]
  readonly promptsPerDomain: number
  readonly maxTokens: number
}

export interface TurnsRow {
  readonly domain: string
  readonly temperature: number
  /** Tokens a second, prompts not counted; undefined: did not take part. */
  readonly rates: Readonly<Partial<Record<ContestantName, number>>>
  readonly drafted: DraftedRounds
}

interface Question {
  readonly prompt: string
  readonly maxTokens: number
  readonly temperature: number
  readonly seed: number
  readonly domain: string
}

type Answer = (question: Question) => Promise<Timed>

export async function takeTurns(options: TurnsOptions): Promise<TurnsRow[]> {
  const answers = answersOf(options)
  const { cluster, domains, temperatures, promptsPerDomain, maxTokens } = options
  const rows: TurnsRow[] = []
  for (const { name: domain, prompts } of domains) {
    for (const temperature of temperatures) {
      progress(`${domain} at temperature ${temperature}`)
      const sums = new Map([...answers.keys()].map((name) => [name, { tokens: 0, seconds: 0 }]))
      const before = await MetricsSnapshot.of(cluster.opsUrl('serving'))
      // From the end of the list: traffic begins at its start.
      for (const [i, prompt] of prompts.toReversed().slice(0, promptsPerDomain).entries()) {
        const question = { prompt, maxTokens, temperature, seed: i + 1, domain }
        for (const [name, answer] of rotated([...answers], i)) {
          const { tokens, seconds } = await answer(question)
          sums.get(name)!.tokens += tokens
          sums.get(name)!.seconds += seconds
        }
      }
      const after = await MetricsSnapshot.of(cluster.opsUrl('serving'))
      const rates = Object.fromEntries([...sums].map(([name, { tokens, seconds }]) => [name, tokens / seconds]))
      rows.push({ domain, temperature, rates, drafted: draftedRounds(before, after) })
    }
  }
  return rows
}

function answersOf({ cluster, lookupOnly, llamaCpp, tokenizer }: TurnsOptions): Map<ContestantName, Answer> {
  const served =
    (at: Cluster, speculate: boolean): Answer =>
    (question) =>
      timedCompletion(at.httpUrl, { ...question, speculate })
  const answers = new Map<ContestantName, Answer>([
    ['plain', served(cluster, false)],
    ['speculative', served(cluster, true)],
  ])
  if (lookupOnly !== undefined) answers.set('lookup only', served(lookupOnly, true))
  if (llamaCpp === undefined) return answers
  const llama =
    (promptLookup: boolean): Answer =>
    (question) => {
      const prompt = tokenizer.encode(question.prompt, { addSpecialTokens: false })
      return timedAnswer(llamaCpp, { ...question, prompt }, promptLookup)
    }
  return answers.set('llama.cpp', llama(false)).set('llama.cpp lookup', llama(true))
}

const rotated = <T>(values: readonly T[], by: number): T[] => {
  const at = by % values.length
  return [...values.slice(at), ...values.slice(0, at)]
}
