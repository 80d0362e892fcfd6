import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export interface PromptSet {
  readonly name: string
  readonly prompts: readonly string[]
}

/** The two domains of the demo: what traffic starts with, and what it shifts to. */
export const demoDomains = ['sotu', 'typescript'] as const

/** Prompts that ship with the model: text that it was not trained on. */
export function readPrompts(modelDirectory: string, domain: string): PromptSet {
  const file = join(modelDirectory, 'prompts', `${domain}.json`)
  if (!existsSync(file)) throw new Error(`${file} is missing: the demo needs prompts for the domain "${domain}"`)
  const entries = JSON.parse(readFileSync(file, 'utf8')) as { text: string }[]
  return { name: domain, prompts: entries.map((entry) => entry.text) }
}
