import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'
import { schemaOf } from './documents.js'
import { repositoryAt } from './repository.js'

/** The committed documents, whatever folder the tests run in. */
export const repository = repositoryAt(fileURLToPath(new URL('../../..', import.meta.url)))
export const schema = schemaOf(repository)

/** A parsed document, walked by name and index. */
export interface Yaml {
  [name: string | number]: Yaml
}

export function committedYaml(path: string): Yaml {
  return parse(repository.read(path)) as Yaml
}
