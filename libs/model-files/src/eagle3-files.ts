import { checkFeatureHead, eagle3Layout, type FeatureHead, type FeatureHeadTarget } from '@plateau/causal-lm'
import { messageOf, PlateauError } from '@plateau/contracts'
import { encodeSafetensors } from './safetensors.js'
import { booleanTensor, floatTensor, integerTensor, type FloatDtype, type Tensor } from './tensor.js'

export interface Eagle3Options {
  /** Of the weights as stored. Default F16. */
  readonly dtype?: FloatDtype
  /** The target's context. */
  readonly maxPositions: number
}

/**
 * A feature-fed head as SpecForge lays out an EAGLE-3 draft: config.json and model.safetensors, embeddings left to the
 * target. The shapes are EAGLE-3's, the function is not quite (see eagle3Layout): a place to train on from. Throws
 * EXPORT_IMPOSSIBLE saying what has no counterpart.
 */
export function encodeEagle3(
  head: FeatureHead,
  target: Pick<FeatureHeadTarget, 'head'>,
  { dtype = 'F16', maxPositions }: Eagle3Options,
): { readonly path: string; readonly bytes: Uint8Array }[] {
  checkFeatureHead(head)
  const { config, parameters, draftToTarget, targetToDraft } = layoutOf(head, target, maxPositions)
  const tensors = new Map<string, Tensor>([
    ['d2t', integerTensor([draftToTarget.length], draftToTarget)],
    ['t2d', booleanTensor([targetToDraft.length], targetToDraft)],
  ])
  for (const [name, { shape, data }] of parameters) tensors.set(name, floatTensor(shape, data, dtype))
  const json = { ...config, torch_dtype: torchNames[dtype] }
  return [
    { path: 'config.json', bytes: Buffer.from(`${JSON.stringify(json, undefined, 2)}\n`) },
    { path: 'model.safetensors', bytes: encodeSafetensors(tensors, { format: 'pt' }) },
  ]
}

const torchNames: Readonly<Record<FloatDtype, string>> = { F32: 'float32', F16: 'float16', BF16: 'bfloat16' }

function layoutOf(head: FeatureHead, target: Pick<FeatureHeadTarget, 'head'>, maxPositions: number) {
  try {
    return eagle3Layout(head, target, maxPositions)
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause
    throw new PlateauError('EXPORT_IMPOSSIBLE', `this head cannot be exported as EAGLE-3: ${messageOf(cause)}`, {
      cause,
    })
  }
}
