import { describeModelDirectory, readDraftTarget, type ModelDescription } from '@plateau/model-files'
import { causalLmKind, type CausalLmKindOptions } from './causal-lm/causal-lm-kind.js'
import type { DraftKind } from './draft-kind.js'
import { featureHeadKind, type FeatureHeadKindOptions } from './feature-head/feature-head-kind.js'

export type DraftKindOptions = FeatureHeadKindOptions &
  CausalLmKindOptions & { readonly draft: 'feature-head' | 'causal-lm'; readonly model: string }

/** The target as its drafts need it. */
export interface OpenedKind {
  readonly model: ModelDescription
  /** Hands the kind to `run`, which works with any. */
  use<T>(run: <Model>(kind: DraftKind<Model>) => Promise<T>): Promise<T>
}

/** The configured kind, with what it reads of the target's directory. */
export async function openDraftKind(options: DraftKindOptions): Promise<OpenedKind> {
  switch (options.draft) {
    case 'feature-head': {
      const model = await readDraftTarget(options.model)
      return { model, use: (run) => run(featureHeadKind(options, model)) }
    }
    case 'causal-lm': {
      const model = await describeModelDirectory(options.model)
      return { model, use: (run) => run(causalLmKind(options, model)) }
    }
  }
}
