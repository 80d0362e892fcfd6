/** The targets of `bench selection`: what they are asked, and how much of their answers is recorded for what. */
import { demoDomains, readPrompts } from '@plateau/demo'
import { readDraftTarget, type DraftTargetModel } from '@plateau/model-files'
import { demoModel } from '../demo-model.js'
import { chatPrompt, openRealModel, questionsOf, realDomains, type PromptSplit } from '../real-model.js'

export const datasetNames = ['demo', 'smollm2'] as const
export type DatasetName = (typeof datasetNames)[number]

export const roles = ['training', 'calibration', 'heldOut'] as const
/** What a response is for. By prompt: a prompt serves one role only, whatever the seed. */
export type Role = (typeof roles)[number]

export interface Prompt {
  readonly id: string
  readonly tokens: number[]
}

/** Responses of one domain for one role. */
export interface Portion {
  readonly role: Role
  readonly domain: string
  readonly prompts: readonly Prompt[]
  /** Response positions to be recorded. */
  readonly positions: number
}

export interface SelectionTarget {
  readonly name: DatasetName
  readonly path: string
  readonly model: DraftTargetModel
  readonly portions: readonly Portion[]
  /** How many tokens drafts propose from; 0 = all. */
  readonly draftVocabulary: number
  /** Given to answers in turn. */
  readonly temperatures: readonly number[]
}

/** Longer prompts cost more to read than their answers to write. */
const MOST_PROMPT_TOKENS = 256

export function resolveSelectionTarget(name: DatasetName): Promise<SelectionTarget> {
  return name === 'demo' ? demoTarget() : smollm2()
}

async function smollm2(): Promise<SelectionTarget> {
  const model = await openRealModel({ target: 'smollm2' })
  const wanted: Record<Role, { readonly split: PromptSplit; readonly chat: number; readonly code: number }> = {
    training: { split: 'train', chat: 36_000, code: 20_000 },
    calibration: { split: 'evaluation', chat: 1900, code: 1100 },
    heldOut: { split: 'demo', chat: 6500, code: 3500 },
  }
  const portions = roles.flatMap((role) =>
    realDomains.map((domain) => ({
      role,
      domain,
      positions: wanted[role][domain],
      prompts: questionsOf(domain, wanted[role].split)
        .map((text, i) => ({
          id: `${domain}/${i}`,
          tokens: model.tokenizer.encode(chatPrompt(model, text), { addSpecialTokens: false }),
        }))
        .filter(({ tokens }) => tokens.length <= MOST_PROMPT_TOKENS),
    })),
  )
  return {
    name: 'smollm2',
    path: model.path,
    model: await readDraftTarget(model.path),
    portions,
    draftVocabulary: 4096,
    temperatures: [1, 1, 1, 0.7],
  }
}

/** Of the demo model's prompts, which are one list: one in ten for calibration, two for judging. */
const DEMO_ROLES: readonly Role[] = ['heldOut', 'calibration', 'heldOut']
const DEMO_ROLE_EVERY = 10
const DEMO_POSITIONS: Record<Role, number> = { training: 56_000, calibration: 3000, heldOut: 9000 }

async function demoTarget(): Promise<SelectionTarget> {
  const { tokenizer } = await openRealModel({ model: demoModel })
  const portions = demoDomains.flatMap((domain) => {
    const prompts = readPrompts(demoModel, domain).prompts.map((text, i) => ({
      id: `${domain}/${i}`,
      tokens: tokenizer.encode(text),
      role: DEMO_ROLES[i % DEMO_ROLE_EVERY] ?? 'training',
    }))
    return roles.map((role) => ({
      role,
      domain,
      positions: DEMO_POSITIONS[role] / demoDomains.length,
      prompts: prompts.filter((prompt) => prompt.role === role),
    }))
  })
  return {
    name: 'demo',
    path: demoModel,
    model: await readDraftTarget(demoModel),
    portions,
    draftVocabulary: 0,
    temperatures: [1, 1, 1, 0.7],
  }
}
