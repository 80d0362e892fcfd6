/**
 * A causal draft as a Hugging Face directory: config.json and model.safetensors of a LlamaForCausalLM whose vocabulary is
 * the draft's, and draft_vocabulary.json, which says what the rows stand for and which other readers leave alone. A draft
 * over the whole vocabulary has no such file: with the target's tokenizer beside it, it is a model like any other.
 */
import {
  checkCausalDraft,
  parameterShapes,
  type CausalDraft,
  type CausalDraftConfig,
  type CausalLmConfig,
  type Parameter,
} from '@plateau/causal-lm'
import { messageOf, PlateauError } from '@plateau/contracts'
import { configJson, parseConfig } from './config-json.js'
import { draftFile, invalidDraft, readDraftFiles, type DraftFiles } from './draft-files.js'
import { parseJsonObject } from './json-object.js'
import { decodeSafetensors, encodeSafetensors } from './safetensors.js'
import { floatTensor, toFloats, type FloatDtype } from './tensor.js'

const CONFIG = 'config.json'
const WEIGHTS = 'model.safetensors'
const VOCABULARY = 'draft_vocabulary.json'
const WHAT = 'causal draft'

/** `dtype`: of the weights as stored. */
export function encodeCausalDraft(
  draft: CausalDraft,
  dtype: FloatDtype = 'F32',
): { readonly path: string; readonly bytes: Uint8Array }[] {
  checkCausalDraft(draft)
  const { model, targetVocabSize, draftVocabulary } = draft.config
  const tensors = [...parameterShapes(model)].map(([name, shape]) => {
    return [name, floatTensor(shape, draft.parameters.get(name)!.data, dtype)] as const
  })
  const vocabulary = { target_vocab_size: targetVocabSize, target_ids: Array.from(draftVocabulary ?? []) }
  return [
    { path: CONFIG, bytes: Buffer.from(configJson(model, dtype)) },
    { path: WEIGHTS, bytes: encodeSafetensors(new Map(tensors), { format: 'pt' }) },
    ...(draftVocabulary ? [{ path: VOCABULARY, bytes: Buffer.from(`${JSON.stringify(vocabulary)}\n`) }] : []),
  ]
}

/**
 * The reverse, from files already in memory. Throws DRAFT_INVALID naming what is missing, misshapen, of another
 * architecture or not finite. `where` names the source in errors.
 */
export function decodeCausalDraft(files: DraftFiles, where: string): CausalDraft {
  const file = (name: string): Uint8Array => draftFile(files, name, where, WHAT)
  try {
    const model = parseConfig(textOf(file(CONFIG)), `${where}/${CONFIG}`)
    const { tensors } = decodeSafetensors(file(WEIGHTS), `${where}/${WEIGHTS}`)
    const parameters = new Map<string, Parameter>()
    for (const [name, tensor] of tensors) parameters.set(name, { shape: tensor.shape, data: toFloats(tensor) })
    const draft = { config: draftConfig(model, files, where), parameters }
    checkCausalDraft(draft)
    return draft
  } catch (thrown) {
    if (thrown instanceof PlateauError && thrown.code === 'DRAFT_INVALID') throw thrown
    throw invalidDraft(where, WHAT, messageOf(thrown), thrown)
  }
}

/** Reads a checkpoint directory without checking its manifest: for tools that compare drafts, not for serving. */
export async function readCausalDraft(directory: string): Promise<CausalDraft> {
  return decodeCausalDraft(await readDraftFiles(directory, WHAT, [CONFIG, WEIGHTS], [VOCABULARY]), directory)
}

function draftConfig(model: CausalLmConfig, files: DraftFiles, where: string): CausalDraftConfig {
  const bytes = files.get(VOCABULARY)
  if (bytes === undefined) return { model, targetVocabSize: model.vocabSize, draftVocabulary: undefined }
  const { target_vocab_size: size, target_ids: ids } = parseJsonObject(
    textOf(bytes),
    `${where}/${VOCABULARY}`,
    'DRAFT_INVALID',
  )
  const isCount = (value: unknown): value is number => Number.isInteger(value) && (value as number) < 2 ** 31
  if (!isCount(size)) throw invalidDraft(where, WHAT, `target_vocab_size in ${VOCABULARY} is ${JSON.stringify(size)}`)
  if (!Array.isArray(ids) || !ids.every(isCount)) {
    throw invalidDraft(where, WHAT, `target_ids in ${VOCABULARY} is not a list of token ids`)
  }
  return { model, targetVocabSize: size, draftVocabulary: Int32Array.from(ids) }
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('utf8')
}
