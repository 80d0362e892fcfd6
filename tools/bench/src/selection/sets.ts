/** Which training responses the selectors keep at half, whatever is trained on them: one file of JSON per target. */
import { loadTokenizer } from '@plateau/model-files'
import { strategyNames } from '@plateau/flatness'
import { writeFile } from 'node:fs/promises'
import { choose } from './choose.js'
import type { Dataset, SelectionWindow } from './dataset.js'
import { figuresOf } from './evaluate.js'
import { ClosedFormSolver } from './closed-form-solver.js'
import { rankCorrelation } from './rank-correlation.js'
import type { SelectedSets } from './report/selected-sets.js'

const HALF = 0.5
/** Two draws of random: what two selectors that know nothing have in common. */
const SEEDS: Readonly<Record<string, number>> = { random: 1, 'random #2': 2 }

/** What the report does not need for its tables, for who wants to look closer. */
interface SetsFile extends SelectedSets {
  /** Spearman's, over single training positions. Gap: 1 - alpha of the reference draft. */
  readonly correlations: Readonly<Record<string, number>>
  /** The reference draft on the held-out windows: alpha by bin of flatness before an arm has trained anything. */
  readonly before: { readonly alpha: number; readonly alphaByFlatness: readonly (number | null)[] }
}

export async function writeSets(path: string, dataset: Dataset, threads: number): Promise<void> {
  const { training, name } = dataset
  const index = new Map(training.map(({ sampleId }, i) => [sampleId, i]))
  const selectors = [...Object.keys(SEEDS), ...strategyNames.filter((one) => one !== 'none' && one !== 'random')]
  const sets: SetsFile = {
    target: name,
    keep: HALF,
    samples: await sampleFacts(dataset),
    kept: Object.fromEntries(
      selectors.map((selector) => {
        const seed = SEEDS[selector] ?? 1
        const chosen = choose(training, { selector: selector.split(' ')[0]!, unit: 'sample', keep: HALF, seed })
        const wholly = chosen.filter(
          ({ window }) => window.rows.length === rowsOf(training[index.get(window.sampleId)!]!),
        )
        return [selector, wholly.map(({ window }) => index.get(window.sampleId)!)]
      }),
    ),
    correlations: correlations(training),
    before: await beforeTraining(dataset, threads),
  }
  await writeFile(path, `${JSON.stringify(sets, (_, one: unknown) => rounded(one))}\n`)
}

async function sampleFacts({ path, training }: Dataset): Promise<SelectedSets['samples']> {
  const tokenizer = await loadTokenizer(path)
  return training.map(({ domain, rows, statistics }) => ({
    domain,
    positions: rows.length,
    flatness: statistics.flatness.reduce((sum, f) => sum + f, 0) / rows.length,
    code: domain === 'typescript' || tokenizer.decode(rows.tokens).includes('```'),
  }))
}

function correlations(training: readonly SelectionWindow[]): SetsFile['correlations'] {
  const all = (of: (window: SelectionWindow) => Float32Array) => training.flatMap((window) => [...of(window)])
  const flatness = all(({ statistics }) => statistics.flatness)
  const entropy = all(({ statistics }) => statistics.entropy)
  const gap = all(({ statistics }) => statistics.draftOverlap.map((alpha) => 1 - alpha))
  const gain = all(({ statistics }) => statistics.draftGain)
  return {
    'flatness and entropy': rankCorrelation(flatness, entropy),
    'flatness and gap': rankCorrelation(flatness, gap),
    'entropy and gap': rankCorrelation(entropy, gap),
    'flatness and gain': rankCorrelation(flatness, gain),
    'gap and gain': rankCorrelation(gap, gain),
  }
}

async function beforeTraining(dataset: Dataset, threads: number): Promise<SetsFile['before']> {
  const solver = await ClosedFormSolver.open({ ...dataset, threads })
  try {
    const { reference, heldOut } = dataset
    const scores = await solver.scorer.score(
      reference,
      heldOut.map(({ rows }) => rows),
    )
    const { alpha, alphaByFlatness } = figuresOf(scores, heldOut)
    return { alpha, alphaByFlatness }
  } finally {
    await solver.release()
  }
}

function rowsOf({ rows }: SelectionWindow): number {
  return rows.length
}

function rounded(value: unknown): unknown {
  return typeof value === 'number' ? Math.round(value * 1e5) / 1e5 : value
}
