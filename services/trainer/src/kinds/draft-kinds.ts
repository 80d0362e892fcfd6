import type { DraftTargetModel } from '@plateau/model-files'
import type { DraftKind } from './draft-kind.js'
import { featureHeadKind } from './feature-head/feature-head-kind.js'

export type DraftKindOptions = Parameters<typeof featureHeadKind>[0]

/** Hands the configured kind to `use`, which works with any. */
export function withDraftKind<T>(
  options: DraftKindOptions,
  model: DraftTargetModel,
  use: <Model>(kind: DraftKind<Model>) => Promise<T>,
): Promise<T> {
  return use(featureHeadKind(options, model))
}
