import { PlateauError } from '@plateau/contracts'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'

export type ModelLocation =
  | { readonly kind: 'directory'; readonly directory: string }
  | { readonly kind: 'gguf'; readonly file: string }

/** What lies at a path: a Hugging Face directory, a GGUF file, or a directory with exactly one. */
export async function locateModel(path: string): Promise<ModelLocation> {
  const found = await stat(path).catch(() => undefined)
  if (found?.isFile()) {
    if (path.endsWith('.safetensors')) throw unknown(path, `${path} is only a model's weights; name their directory`)
    return { kind: 'gguf', file: path }
  }
  if (!found?.isDirectory()) throw unknown(path, `there is no model at ${path}`)
  const names = await readdir(path)
  if (names.includes('config.json')) return { kind: 'directory', directory: path }
  const ggufs = names.filter((name) => name.endsWith('.gguf')).toSorted()
  if (ggufs.length > 1) throw unknown(path, `${path} holds several models (${ggufs.join(', ')}); name one of them`)
  return ggufs.length === 1 ? { kind: 'gguf', file: join(path, ggufs[0]!) } : { kind: 'directory', directory: path }
}

function unknown(directory: string, problem: string): PlateauError {
  const wanted = 'it should be a GGUF file, or a directory with config.json, model.safetensors and tokenizer.json'
  return new PlateauError('MODEL_DIRECTORY_UNKNOWN', `${problem}; ${wanted}`, { facts: { directory } })
}
