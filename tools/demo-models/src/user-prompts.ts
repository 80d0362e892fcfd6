import { createHash } from 'node:crypto'
import type { Document, DomainDocuments } from './corpus-documents.js'
import { codeInstructions, exerciseInstructions, fill, speechInstructions } from './instructions.js'
import { codePassages, speechPassages, type Passage } from './passages.js'
import { seededRandom } from './prompts-random.js'

/** Drafts learn from train, are judged on evaluation; the demo asks demo. */
export type Split = 'train' | 'evaluation' | 'demo'

/** What a user says to an instruction model; the chat template is put around it by whoever asks. */
export interface UserPrompt {
  readonly id: string
  readonly split: Split
  readonly text: string
}

/** A question that is used as it is. */
export interface Question {
  readonly id: string
  readonly domain: 'chat' | 'code'
  readonly source: string
  readonly text: string
}

const seed = 20_261_126
const passagesPerSpeech = 3
const passagesPerSource = 5

/**
 * Prompts of two domains for a real model, always the same ones: questions as they are, and passages of speeches and of
 * TypeScript sources with an instruction. A question or a document lies wholly in one split, so no passage is in two.
 */
export function userPrompts(
  questions: readonly Question[],
  corpus: readonly DomainDocuments[],
): Record<'chat' | 'code', UserPrompt[]> {
  const random = seededRandom(seed)
  const asked = (domain: Question['domain']) =>
    questions
      .filter((question) => question.domain === domain && question.source !== 'human-eval')
      .map(({ id, text }) => ({ id, split: splitOf(id), text }))
  const exercises = questions
    .filter(({ source }) => source === 'human-eval')
    .map(({ id, text }, i) => ({
      id,
      split: splitOf(id),
      text: fill(exerciseInstructions[i % exerciseInstructions.length]!, text),
    }))
  const speeches = speechPassages(documentsOf(corpus, 'sotu'), passagesPerSpeech, random)
  const sources = codePassages(documentsOf(corpus, 'typescript'), passagesPerSource, random)
  return {
    chat: random.order([...asked('chat'), ...instructed('speech', speeches, speechInstructions)]),
    code: random.order([...asked('code'), ...exercises, ...instructed('effect', sources, codeInstructions)]),
  }
}

function instructed(prefix: string, passages: readonly Passage[], instructions: readonly string[]): UserPrompt[] {
  return passages.map(({ document, text }, i) => ({
    id: `${prefix}-${String(i).padStart(3, '0')}`,
    split: splitOf(document),
    text: fill(instructions[i % instructions.length]!, text),
  }))
}

/** One in twelve is for evaluation, two are for the demo. Depends on the name only, so that adding some moves no other. */
export function splitOf(name: string): Split {
  const part = createHash('sha256').update(name).digest().readUInt32BE(4) % 12
  return part === 0 ? 'evaluation' : part <= 2 ? 'demo' : 'train'
}

function documentsOf(corpus: readonly DomainDocuments[], name: DomainDocuments['name']): Document[] {
  const domain = corpus.find((each) => each.name === name)!
  return [...domain.train, ...domain.heldOut]
}
