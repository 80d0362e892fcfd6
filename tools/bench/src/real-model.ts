import {
  describeModelDirectory,
  loadTokenizer,
  renderChat,
  type ModelDescription,
  type Tokenizer,
} from '@plateau/model-files'
import { resolveModel } from '@plateau/model-hub'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { BenchError } from './bench-error.js'

const promptsFolder = new URL('../../../models/prompts/', import.meta.url)

export const realDomains = ['chat', 'code'] as const
export type RealDomain = (typeof realDomains)[number]

/** The real model that a benchmark was asked for by name (--target) or path (--model). */
export interface RealModel {
  readonly path: string
  readonly description: ModelDescription
  readonly tokenizer: Tokenizer
}

/** Throws BenchError, or what the model's reader says, when there is none. */
export async function openRealModel(options: {
  readonly target?: string | undefined
  readonly model?: string | undefined
}): Promise<RealModel> {
  const { target, model } = options
  if (model === undefined && target === undefined) {
    throw new BenchError('name a model with --target smollm2 or --model PATH', { exitCode: 2 })
  }
  const path = model ?? (await resolveModel(target!))
  return { path, description: await describeModelDirectory(path), tokenizer: await loadTokenizer(path) }
}

/** The file that llama.cpp reads, too. */
export function ggufOf({ path, description }: RealModel): string {
  if (description.format === 'gguf') return path
  throw new BenchError(`llama.cpp reads GGUF files, ${path} is none; leave it out with --without-llama-cpp`)
}

export type PromptSplit = 'train' | 'evaluation' | 'demo'

/** What a user asks; by default of the prompts that no draft of the repository was trained or judged on. */
export function questionsOf(domain: RealDomain, wanted: PromptSplit = 'demo'): string[] {
  const file = fileURLToPath(new URL(`${domain}.json`, promptsFolder))
  const entries = JSON.parse(readFileSync(file, 'utf8')) as readonly { readonly text: string; readonly split: string }[]
  return entries.filter(({ split }) => split === wanted).map(({ text }) => text)
}

/** The question inside the model's own chat template. */
export function chatPrompt({ description, tokenizer }: RealModel, question: string): string {
  return renderChat([{ role: 'user', content: question }], description.chatTemplate, tokenizer.specialTokens)
}

/** `count` prompts of both domains in turn, as the model's tokens, none longer than `maxTokens`. */
export function promptTokens(model: RealModel, count: number, maxTokens: number): number[][] {
  const [chat, code] = realDomains.map((domain) => questionsOf(domain)) as [string[], string[]]
  const prompts: number[][] = []
  for (let i = 0; prompts.length < count; i++) {
    const question = (i % 2 === 0 ? chat : code)[i >> 1]
    if (question === undefined) throw new BenchError(`fewer than ${count} prompts have at most ${maxTokens} tokens`)
    const ids = model.tokenizer.encode(chatPrompt(model, question), { addSpecialTokens: false })
    if (ids.length <= maxTokens) prompts.push(ids)
  }
  return prompts
}
