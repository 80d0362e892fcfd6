import type { DraftRows } from '@plateau/inference'
import { summarizeScores } from '@plateau/inference'
import { fitLogitScale } from '@plateau/training'
import type { DraftPlan } from './draft-plan.js'
import type { HeldOutWindow } from './training-data.js'

export interface Figures {
  readonly domain: string
  /** Undefined: all. */
  readonly temperature: number | undefined
  readonly positions: number
  /** Mean over positions of the certified lower bound of sum min(p, q), raw distributions. */
  readonly alpha: number
  /** Share of positions at which the draft's most probable token is the target's. */
  readonly greedyMatch: number
}

const LEAST_CALIBRATION_POSITIONS = 256

/** The draft with the logit scale at which it does best on `windows`; unchanged where they are too few. */
export async function calibrated<Model>(
  plan: DraftPlan<Model>,
  model: Model,
  windows: readonly HeldOutWindow[],
): Promise<Model> {
  const rows = windows.map((window) => window.rows)
  if (positionsOf(rows) < LEAST_CALIBRATION_POSITIONS) return model
  // A scale that a draft has already is replaced, or multiplied: ask the kind, and compare what comes out.
  const scale = await fitLogitScale(
    async (c) => summarizeScores(await plan.score(plan.withLogitScale(model, c), rows)).alpha,
  )
  return plan.withLogitScale(model, scale)
}

export async function meanAlpha<Model>(
  plan: DraftPlan<Model>,
  model: Model,
  windows: readonly HeldOutWindow[],
): Promise<number> {
  return summarizeScores(
    await plan.score(
      model,
      windows.map((window) => window.rows),
    ),
  ).alpha
}

/** Per domain, then per temperature within it. */
export async function figuresOf<Model>(
  plan: DraftPlan<Model>,
  model: Model,
  windows: readonly HeldOutWindow[],
): Promise<Figures[]> {
  const figures: Figures[] = []
  for (const domain of distinct(windows.map((window) => window.domain))) {
    const ofDomain = windows.filter((window) => window.domain === domain)
    const temperatures = distinct(ofDomain.map(({ temperature }) => temperature)).filter((t) => t !== undefined)
    for (const temperature of [undefined, ...temperatures.toSorted((a, b) => a - b)]) {
      const chosen = ofDomain.filter((window) => temperature === undefined || window.temperature === temperature)
      const scores = await plan.score(
        model,
        chosen.map((window) => window.rows),
      )
      figures.push({ domain, temperature, ...summarizeScores(scores) })
    }
  }
  return figures
}

export function positionsOf(rows: readonly DraftRows[]): number {
  return rows.reduce((sum, { length }) => sum + length, 0)
}

function distinct<T>(values: readonly T[]): T[] {
  return [...new Set(values)]
}
