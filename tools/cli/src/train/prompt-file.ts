import { readdir, readFile, stat } from 'node:fs/promises'
import { basename, extname, join } from 'node:path'
import { messageOf, PlateauError } from '@plateau/contracts'

export interface TrainingPrompt {
  /** Unique within what was read. */
  readonly id: string
  /** What the user says. */
  readonly text: string
  /** A label for the figures; the file's name unless the prompt has its own. */
  readonly domain: string
  /** "evaluation": its answers are only judged on. Others than "train" and this are left out. */
  readonly split: 'train' | 'evaluation'
}

const KINDS = new Set(['.json', '.jsonl', '.txt'])
/** Where no prompt says what it is for, so many are set aside. */
const EVALUATION_EVERY = 12

/**
 * Prompts of a file or of all such files in a folder: .json (an array), .jsonl (one a line) or .txt (with blank lines
 * between them). An entry is a text, or an object with `text` or `prompt`, and perhaps `id`, `domain` and `split`.
 */
export async function readPromptFiles(path: string): Promise<TrainingPrompt[]> {
  const files = (await stat(path)).isDirectory()
    ? (await readdir(path))
        .filter((name) => extname(name) === '.json')
        .toSorted()
        .map((name) => join(path, name))
    : [path]
  const prompts = (await Promise.all(files.map(readPromptFile))).flat()
  if (prompts.length === 0) throw invalid(path, 'holds no prompts')
  return prompts
}

export function isPromptFile(path: string): boolean {
  return KINDS.has(extname(path))
}

async function readPromptFile(path: string): Promise<TrainingPrompt[]> {
  const domain = basename(path, extname(path))
  const entries = parseEntries(await readFile(path, 'utf8'), path)
  const prompts = entries.map((entry, i) => promptOf(entry, i, domain, path))
  const anySplit = prompts.some(({ split }) => split !== undefined)
  return prompts.flatMap(({ split, ...prompt }, i) => {
    const part = split ?? (!anySplit && i % EVALUATION_EVERY === 0 ? 'evaluation' : 'train')
    return part === 'train' || part === 'evaluation' ? [{ ...prompt, split: part }] : []
  })
}

function parseEntries(text: string, path: string): unknown[] {
  try {
    if (path.endsWith('.txt')) return text.split(/\n\s*\n/).filter((entry) => entry.trim() !== '')
    if (!path.endsWith('.jsonl')) return arrayOf(JSON.parse(text))
    return text
      .split('\n')
      .filter((line) => line.trim() !== '')
      .map((line) => JSON.parse(line) as unknown)
  } catch (cause) {
    throw invalid(path, messageOf(cause), cause)
  }
}

function arrayOf(json: unknown): unknown[] {
  if (Array.isArray(json)) return json as unknown[]
  throw new TypeError('it is not an array')
}

function promptOf(entry: unknown, index: number, domain: string, path: string) {
  const fields = (typeof entry === 'string' ? { text: entry } : (entry ?? {})) as Record<string, unknown>
  const string = (name: string): string | undefined => {
    const value = fields[name]
    return typeof value === 'string' && value !== '' ? value : undefined
  }
  const text = string('text') ?? string('prompt')
  if (text === undefined) throw invalid(path, `entry ${index} has neither text nor prompt`)
  return {
    id: `${domain}/${string('id') ?? index}`,
    text,
    domain: string('domain') ?? domain,
    split: string('split'),
  }
}

function invalid(path: string, why: string, cause?: unknown): PlateauError {
  return new PlateauError('PROMPTS_INVALID', `${path} cannot be used as prompts: ${why}`, { facts: { path }, cause })
}
