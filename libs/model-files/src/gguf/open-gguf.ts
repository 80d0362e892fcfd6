import { basename } from 'node:path'
import { fingerprintFile } from '../model-fingerprint.js'
import type { OpenedModel, TokenizerFiles } from '../opened-model.js'
import { elementCount, toFloats } from '../tensor.js'
import { ggufConfig } from './config.js'
import { unsupportedGguf } from './errors.js'
import { GgufFile } from './gguf-file.js'
import { ggufName } from './names.js'
import { ggufTokenizer } from './tokenizer.js'
import { ggufWeights } from './weights.js'

/** A GGUF file of one of the supported families. */
export async function openGguf(path: string): Promise<OpenedModel> {
  const file = await GgufFile.open(path)
  try {
    const config = ggufConfig(file.header, path, await ropeFactors(file))
    const weights = ggufWeights(file, config)
    const template = file.header.metadata.get('tokenizer.chat_template')
    return {
      modelId: basename(path).replace(/\.gguf$/, ''),
      format: 'gguf',
      config,
      weights,
      storedTensors: weights.names.map((name) => {
        const { type, shape, begin, end } = file.tensor(ggufName(name))
        return {
          name,
          type: type.name,
          elements: elementCount(shape),
          bytes: end - begin,
          isMatrix: shape.length === 2,
        }
      }),
      chatTemplate: typeof template === 'string' ? template : undefined,
      tokenizerFiles: () => Promise.resolve(ggufTokenizer(file.header.metadata, path)),
      fingerprint: () => fingerprintFile(path),
      close: () => file.close(),
    }
  } catch (thrown) {
    await file.close()
    throw thrown
  }
}

export async function readGgufTokenizer(path: string): Promise<TokenizerFiles> {
  const file = await GgufFile.open(path)
  await file.close()
  return ggufTokenizer(file.header.metadata, path)
}

/** Llama 3's stretched frequencies, which llama.cpp keeps as a tensor. */
async function ropeFactors(file: GgufFile): Promise<readonly number[] | undefined> {
  const tensor = file.header.tensors.get('rope_freqs.weight')
  if (tensor === undefined) return undefined
  // One for every pair of a head's dimensions; a real head has fewer than a thousand.
  if (tensor.type.name !== 'F32' || elementCount(tensor.shape) > 2 ** 12) {
    const problem = `tensor "rope_freqs.weight" is ${tensor.type.name} [${tensor.shape.join(', ')}], no short F32 list`
    throw unsupportedGguf(file.path, problem, { tensor: 'rope_freqs.weight' })
  }
  return [...toFloats({ dtype: 'F32', shape: tensor.shape, bytes: await file.bytes(tensor) })]
}
