import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export interface PromptSet {
  readonly name: string
  readonly prompts: readonly string[]
}

/** The two domains of the repository's own models. */
export const demoDomains = ['sotu', 'typescript'] as const

/** Prompts that ship with the model: text that it was not trained on. */
export function readPrompts(modelDirectory: string, domain: string): PromptSet {
  const file = join(modelDirectory, 'prompts', `${domain}.json`)
  if (!existsSync(file)) throw new Error(`${file} is missing: the demo needs prompts for the domain "${domain}"`)
  const entries = JSON.parse(readFileSync(file, 'utf8')) as { text: string }[]
  return { name: domain, prompts: entries.map((entry) => entry.text) }
}

/** The longest text that is asked: an answer should begin within a second on a small machine. */
const MOST_CHARACTERS = 900

/**
 * What users say to an instruction model, of the split that is kept for the demo: no draft in the repository was trained
 * on answers to it. `asPrompt` puts the model's chat template around a text.
 */
export function readUserPrompts(file: string, domain: string, asPrompt: (text: string) => string): PromptSet {
  const entries = JSON.parse(readFileSync(file, 'utf8')) as { text: string; split: string }[]
  const asked = entries.filter(({ text, split }) => split === 'demo' && text.length <= MOST_CHARACTERS)
  return { name: domain, prompts: asked.map(({ text }) => asPrompt(text)) }
}
