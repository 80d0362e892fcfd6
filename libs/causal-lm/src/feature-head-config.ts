import type { FeatureHeadConfig } from './feature-head.js'

export const featureHeadKind = 'feature-fed-head'
const modelType = 'plateau_feature_head'

/** config.json of a checkpoint, in Hugging Face's names where there is one. */
export function featureHeadConfigJson(config: FeatureHeadConfig): Record<string, unknown> {
  const { layer } = config
  return {
    architectures: ['PlateauFeatureHead'],
    model_type: modelType,
    hidden_size: config.hiddenSize,
    vocab_size: config.vocabSize,
    ...(config.draftVocabSize === undefined ? {} : { draft_vocab_size: config.draftVocabSize }),
    bilinear_features: config.bilinearFeatures,
    ...(config.bilinearSeed === undefined ? {} : { bilinear_seed: config.bilinearSeed }),
    rms_norm_eps: config.rmsNormEps,
    num_hidden_layers: layer === undefined ? 0 : 1,
    ...(layer === undefined
      ? {}
      : {
          num_attention_heads: layer.heads,
          head_dim: layer.headDim,
          intermediate_size: layer.intermediateSize,
          rope_theta: layer.ropeTheta,
          context_positions: layer.contextPositions,
        }),
  }
}

/** Throws RangeError naming the field. Whether it fits a target is checked by `checkFeatureHeadFits`. */
export function parseFeatureHeadConfig(json: unknown): FeatureHeadConfig {
  if (typeof json !== 'object' || json === null) throw new RangeError('config.json of a draft is not an object')
  const fields = json as Record<string, unknown>
  if (fields['model_type'] !== modelType) {
    throw new RangeError(`model_type is ${JSON.stringify(fields['model_type'])}, expected "${modelType}"`)
  }
  const number = (name: string, isValid: (value: number) => boolean): number => {
    const value = fields[name]
    if (typeof value === 'number' && Number.isFinite(value) && isValid(value)) return value
    throw new RangeError(`${name} is ${JSON.stringify(value)} in config.json of a draft`)
  }
  const count = (name: string, min = 1): number =>
    number(name, (value) => Number.isInteger(value) && value >= min && value < 2 ** 24)
  const layers = number('num_hidden_layers', (value) => value === 0 || value === 1)
  return {
    hiddenSize: count('hidden_size'),
    vocabSize: count('vocab_size', 2),
    ...(fields['draft_vocab_size'] === undefined ? {} : { draftVocabSize: count('draft_vocab_size') }),
    bilinearFeatures: count('bilinear_features', 0),
    ...(fields['bilinear_seed'] === undefined ? {} : { bilinearSeed: number('bilinear_seed', Number.isSafeInteger) }),
    rmsNormEps: number('rms_norm_eps', (value) => value > 0 && value < 1),
    layer:
      layers === 0
        ? undefined
        : {
            heads: count('num_attention_heads'),
            headDim: number('head_dim', (value) => Number.isInteger(value) && value > 0 && value % 2 === 0),
            intermediateSize: count('intermediate_size'),
            ropeTheta: number('rope_theta', (value) => value > 0),
            contextPositions: count('context_positions'),
          },
  }
}
