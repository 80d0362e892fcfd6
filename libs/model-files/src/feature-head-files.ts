import {
  checkFeatureHead,
  featureHeadConfigJson,
  parseFeatureHeadConfig,
  type FeatureHead,
  type FeatureHeadTarget,
  type Parameter,
} from '@plateau/causal-lm'
import { messageOf, PlateauError } from '@plateau/contracts'
import { draftFile, invalidDraft, readDraftFiles, type DraftFiles } from './draft-files.js'
import { describeModelDirectory, readParameters, type ModelDescription } from './model-directory.js'
import { decodeSafetensors, encodeSafetensors } from './safetensors.js'
import { floatTensor, integerTensor, toFloats, toIntegers, type FloatDtype } from './tensor.js'

/** The target's ids of the tokens that the draft can propose, ascending. */
const VOCABULARY = 'draft_vocabulary'
const WHAT = 'feature-fed head'

/**
 * The files of a feature-fed head as a Hugging Face directory holds them: config.json and model.safetensors. `dtype`: of
 * the weights as stored.
 */
export function encodeFeatureHead(
  head: FeatureHead,
  dtype: FloatDtype = 'F32',
): { readonly path: string; readonly bytes: Uint8Array }[] {
  checkFeatureHead(head)
  const tensors = new Map(
    [...head.parameters].map(([name, { shape, data }]) => [name, floatTensor(shape, data, dtype)]),
  )
  const ids = head.vocabulary
  if (ids !== undefined) tensors.set(VOCABULARY, integerTensor([ids.length], BigInt64Array.from(ids, BigInt)))
  const config = `${JSON.stringify(featureHeadConfigJson(head.config), undefined, 2)}\n`
  return [
    { path: 'config.json', bytes: Buffer.from(config) },
    { path: 'model.safetensors', bytes: encodeSafetensors(tensors, { format: 'pt' }) },
  ]
}

/**
 * The reverse, from files already in memory (a checkpoint whose digests were checked). Throws DRAFT_INVALID naming what
 * is missing, misshapen or not finite. `where` names the source in errors.
 */
export function decodeFeatureHead(files: DraftFiles, where: string): FeatureHead {
  const file = (name: string): Uint8Array => draftFile(files, name, where, WHAT)
  try {
    const config = parseFeatureHeadConfig(JSON.parse(Buffer.from(file('config.json')).toString('utf8')))
    const { tensors } = decodeSafetensors(file('model.safetensors'), `${where}/model.safetensors`)
    const parameters = new Map<string, Parameter>()
    for (const [name, tensor] of tensors) {
      if (name !== VOCABULARY) parameters.set(name, { shape: tensor.shape, data: toFloats(tensor) })
    }
    const ids = tensors.get(VOCABULARY)
    const head = { config, parameters, ...(ids && { vocabulary: Int32Array.from(toIntegers(ids), Number) }) }
    checkFeatureHead(head)
    return head
  } catch (thrown) {
    if (thrown instanceof PlateauError) throw thrown
    throw invalidDraft(where, WHAT, messageOf(thrown), thrown)
  }
}

/** Reads a checkpoint directory without checking its manifest: for tools that compare drafts, not for serving. */
export async function readFeatureHead(directory: string): Promise<FeatureHead> {
  return decodeFeatureHead(await readDraftFiles(directory, WHAT, ['config.json', 'model.safetensors']), directory)
}

export interface DraftTargetModel extends ModelDescription {
  /** What drafts share of it: embeddings, output head, final norm. */
  readonly target: FeatureHeadTarget
}

/** Of a target's directory, only what a feature-fed draft needs. */
export async function readDraftTarget(directory: string): Promise<DraftTargetModel> {
  const description = await describeModelDirectory(directory)
  const headName = description.config.tieEmbeddings ? 'model.embed_tokens.weight' : 'lm_head.weight'
  const names = new Set(['model.embed_tokens.weight', 'model.norm.weight', headName])
  const parameters = await readParameters(directory, names)
  const data = (name: string): Float32Array => parameters.get(name)!.data
  const target = {
    embeddings: data('model.embed_tokens.weight'),
    head: data(headName),
    norm: data('model.norm.weight'),
  }
  return { ...description, target }
}
