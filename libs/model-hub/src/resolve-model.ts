import { PlateauError } from '@plateau/contracts'
import { stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { catalogue, type CatalogueEntry } from './catalogue.js'

type Environment = Readonly<Record<string, string | undefined>>

/** Where fetched models are kept: PLATEAU_MODELS, or .cache/plateau/models in the user's home. */
export function modelsDirectory(environment: Environment): string {
  return environment['PLATEAU_MODELS'] || join(homedir(), '.cache', 'plateau', 'models')
}

/**
 * The path of a model by its name in the catalogue, or a path as it is (a name with a slash is always one: "./smollm2").
 * Throws MODEL_NOT_FETCHED with the command that brings it.
 */
export async function resolveModel(
  nameOrPath: string,
  { directory = modelsDirectory(process.env) }: { readonly directory?: string } = {},
): Promise<string> {
  const entry = catalogue.find(({ name }) => name === nameOrPath)
  if (entry === undefined) return nameOrPath
  const path = modelPath(entry, directory)
  if (await isFetched(entry, directory)) return path
  throw new PlateauError(
    'MODEL_NOT_FETCHED',
    `model "${entry.name}" is not at ${path}; bring it with: plateau model fetch ${entry.name}`,
    { facts: { model: entry.name, path } },
  )
}

/** Its checksum was compared before it got its name; here only the length is. */
async function isFetched(entry: CatalogueEntry, directory: string): Promise<boolean> {
  const found = await stat(modelPath(entry, directory)).catch(() => undefined)
  return found?.isFile() === true && found.size === entry.bytes
}

export function modelPath({ name, file }: CatalogueEntry, directory: string): string {
  return join(directory, name, file)
}
