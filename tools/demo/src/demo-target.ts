import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describeModelDirectory, loadTokenizer, renderChat } from '@plateau/model-files'
import { catalogue, fetchModel, type FetchProgress } from '@plateau/model-hub'
import type { ServiceName } from './cluster.js'
import { demoDomains, readPrompts, readUserPrompts, type PromptSet } from './prompts.js'

/** What the demo runs on. */
export interface DemoTarget {
  /** Hugging Face directory or GGUF file. */
  readonly path: string
  /** What traffic starts with, and what it shifts to. */
  readonly domains: readonly PromptSet[]
  /** Whose speed is measured beside theirs, at the end. */
  readonly alsoMeasured: readonly PromptSet[]
  /** Folder of a draft to start from. */
  readonly warmStart: string | undefined
  /** A model that people run, not one of the repository's own: slower, and its weights are rounded. */
  readonly isReal: boolean
  readonly env: Partial<Record<ServiceName, Readonly<Record<string, string>>>>
}

/**
 * As how many positions a warm draft counts in the closed form. Measured on SmolLM2: with 15,000 some 4,000 positions of
 * chat, which it knew, lowered alpha from .399 to .396; with 50,000 they raised it to .403; and 600 positions of Spanish,
 * which it did not, raised it from .288 to .324 even with 15,000.
 */
const PRIOR_POSITIONS = '40000'

const repository = fileURLToPath(new URL('../../../', import.meta.url))
const ownModel = 'demo-target'
const shippedDrafts = ['smollm2-draft']

/**
 * A target by the name of the repository's own model, by a name that `plateau model fetch` knows (fetched when it
 * is missing), or by its path. `say` is told about a download.
 */
export async function resolveTarget(
  nameOrPath: string,
  { signal, say }: { readonly signal: AbortSignal; readonly say: (line: string) => void },
): Promise<DemoTarget> {
  if (nameOrPath === ownModel) return ownTarget(join(repository, 'models', ownModel))
  const isKnown = catalogue.some(({ name }) => name === nameOrPath)
  const path = isKnown ? await fetchModel(nameOrPath, { signal, onProgress: sayProgress(say) }) : nameOrPath
  return existsSync(join(path, 'prompts')) ? ownTarget(path) : realTarget(path)
}

/** It brings its prompts, and its draft starts from nothing. With exact weights answers compare token by token. */
function ownTarget(path: string): DemoTarget {
  const domains = demoDomains.map((domain) => readPrompts(path, domain))
  const env = { 'target-model': { PLATEAU_WEIGHTS: 'f32' } }
  return { path, domains, alsoMeasured: [], warmStart: undefined, isReal: false, env }
}

async function realTarget(path: string): Promise<DemoTarget> {
  const { fingerprint, chatTemplate } = await describeModelDirectory(path)
  const { specialTokens } = await loadTokenizer(path)
  const asPrompt = (text: string) => renderChat([{ role: 'user', content: text }], chatTemplate, specialTokens)
  const [chat, code] = ['chat', 'code'].map((domain) =>
    readUserPrompts(join(repository, 'models', 'prompts', `${domain}.json`), domain, asPrompt),
  )
  // What no draft in the repository has seen: the same questions, to be answered in another language.
  const spanish = readUserPrompts(join(repository, 'models', 'prompts', 'chat.json'), 'spanish', (text) =>
    asPrompt(inSpanish(text)),
  )
  const warmStart = await draftFor(fingerprint)
  return {
    path,
    domains: [chat!, spanish],
    alsoMeasured: [code!],
    warmStart,
    isReal: true,
    env: {
      trainer: {
        PLATEAU_DRAFT_VOCABULARY: '8192',
        PLATEAU_PRIOR_POSITIONS: PRIOR_POSITIONS,
        ...(warmStart === undefined ? {} : { PLATEAU_WARM_START: warmStart }),
      },
    },
  }
}

function inSpanish(text: string): string {
  return `Responde siempre en español. ${text}\n\nResponde en español, con al menos tres frases.`
}

/** Its card names the target that it was trained for. */
async function draftFor(fingerprint: string): Promise<string | undefined> {
  for (const name of shippedDrafts) {
    const folder = join(repository, 'models', name)
    const card = await readFile(join(folder, 'README.md'), 'utf8').catch(() => '')
    if (card.includes(fingerprint)) return folder
  }
  return undefined
}

const SAY_EVERY_BYTES = 10_000_000

function sayProgress(say: (line: string) => void): (progress: FetchProgress) => void {
  let saidBytes = 0
  return (progress) => {
    if (progress.kind === 'note') return say(progress.text)
    if (progress.receivedBytes - saidBytes < SAY_EVERY_BYTES) return
    saidBytes = progress.receivedBytes
    const total = progress.totalBytes === undefined ? '' : ` of ${megabytes(progress.totalBytes)}`
    say(`  ${megabytes(progress.receivedBytes)}${total} MB`)
  }
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(0)
}
