import { buildTrainGraph, type CausalLmConfig } from '@plateau/causal-lm'
import { loadSession } from '@plateau/inference'
import { describeModelDirectory, readDraftTarget, type ModelDescription } from '@plateau/model-files'
import { causalLmKind, type CausalLmKindOptions } from './causal-lm/causal-lm-kind.js'
import type { DraftKind } from './draft-kind.js'
import { featureHeadKind, type FeatureHeadKindOptions } from './feature-head/feature-head-kind.js'
import { readWarmStart, type WarmStart } from './warm-start.js'

export interface DraftKindOptions extends Omit<FeatureHeadKindOptions & CausalLmKindOptions, 'warm'> {
  readonly draft: 'feature-head' | 'causal-lm'
  /** The target's directory or file. */
  readonly model: string
  /** A draft directory that a new lineage begins with. */
  readonly warmStart: string | undefined
}

/** The target as its drafts need it. */
export interface OpenedKind {
  readonly model: ModelDescription
  /** Hands the kind to `run`, which works with any. */
  use<T>(run: <Model>(kind: DraftKind<Model>) => Promise<T>): Promise<T>
}

/**
 * Throws EXECUTION_PROVIDER_UNAVAILABLE at the start, not with the first gradient step: a step of the smallest model there
 * is has to run.
 */
async function tryProvider({ executionProvider: provider, threads }: DraftKindOptions): Promise<void> {
  if (provider === 'cpu') return
  const { model } = buildTrainGraph(SMALLEST, { sequences: 1, positions: 1, targetsPerRow: 1 })
  const session = await loadSession(model, { threads, provider, name: 'draft training step' })
  await session.release()
}

const SMALLEST: CausalLmConfig = {
  vocabSize: 2,
  hiddenSize: 2,
  layers: 1,
  heads: 1,
  kvHeads: 1,
  headDim: 2,
  intermediateSize: 2,
  rmsNormEps: 1e-5,
  ropeTheta: 10_000,
  maxPositions: 1,
  tieEmbeddings: true,
  bosTokenId: undefined,
  eosTokenIds: [],
}

/** The configured kind, with what it reads of the target and of the draft that it begins with. */
export async function openDraftKind(options: DraftKindOptions): Promise<OpenedKind> {
  await tryProvider(options)
  switch (options.draft) {
    case 'feature-head': {
      const model = await readDraftTarget(options.model)
      const kind = featureHeadKind({ ...options, warm: await warmOf(options, model) }, model)
      return { model, use: (run) => run(kind) }
    }
    case 'causal-lm': {
      const model = await describeModelDirectory(options.model)
      const kind = causalLmKind({ ...options, warm: await warmOf(options, model) }, model)
      return { model, use: (run) => run(kind) }
    }
  }
}

async function warmOf({ warmStart }: DraftKindOptions, model: ModelDescription): Promise<WarmStart | undefined> {
  return warmStart === undefined ? undefined : readWarmStart(warmStart, model)
}
