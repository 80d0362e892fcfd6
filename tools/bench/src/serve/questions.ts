import type { PromptSet } from '@plateau/demo'
import { chatPrompt, questionsOf, realDomains, type RealModel } from '../real-model.js'
import type { Question } from './contestants.js'

/** What is asked about one domain; the number makes a question one that nobody has asked before. */
export interface QuestionSet {
  readonly domain: string
  readonly count: number
  prompt(index: number, number: number): string
}

export function numberedPrompts({ name, prompts }: PromptSet): QuestionSet {
  return { domain: name, count: prompts.length, prompt: (index, number) => `${number}. ${prompts[index]}` }
}

/** An answer should begin within a second on a small machine. */
const MOST_CHARACTERS = 900

/** In the model's own chat template. */
export function numberedChats(model: RealModel): QuestionSet[] {
  return realDomains.map((domain) => {
    const texts = questionsOf(domain).filter(({ length }) => length <= MOST_CHARACTERS)
    const prompt = (index: number, number: number): string => chatPrompt(model, `${number}. ${texts[index]}`)
    return { domain, count: texts.length, prompt }
  })
}

export interface AskedFor {
  readonly count: number
  readonly temperature: number
  readonly maxTokens: number
}

/**
 * The same questions for every turn, but for their numbers, so that no prompt is found computed already: a server keeps
 * the beginnings of prompts, and whoever came second would be faster.
 */
export class Questions {
  #number = 0

  constructor(private readonly sets: readonly QuestionSet[]) {}

  /** The domains in turn, from the end of their lists: the loop's traffic begins at their start. */
  next({ count, temperature, maxTokens }: AskedFor): readonly Question[] {
    return Array.from({ length: count }, (_, i) => {
      const set = this.sets[i % this.sets.length]!
      const index = set.count - 1 - (Math.floor(i / this.sets.length) % set.count)
      const prompt = set.prompt(index, ++this.#number)
      return { prompt, domain: set.domain, temperature, seed: i + 1, maxTokens }
    })
  }

  /** All of them, under a number as long as any. */
  all(): string[] {
    return this.sets.flatMap((set) => Array.from({ length: set.count }, (_, i) => set.prompt(i, 99_999)))
  }
}
