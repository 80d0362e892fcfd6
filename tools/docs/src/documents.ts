/** Every generated document: path and text. Pages keep their prose; only what stands between markers is written anew. */
import { allTopics } from '@plateau/contracts'
import { asyncapiDocument } from './asyncapi.js'
import { dataContract } from './data-contract.js'
import { replaceBlocks } from './markers.js'
import { indexBlocks, internalBlocks, pageBlocks } from './page-blocks.js'
import { products } from './products.js'
import type { Sample } from './sample.js'
import { Schema } from './schema.js'
import { telemetryPage } from './telemetry-page.js'

export interface Repository {
  read(path: string): string
  readBytes(path: string): Uint8Array
}

export function documents(repository: Repository): Map<string, string> {
  const schema = schemaOf(repository)
  const texts = new Map<string, string>()
  const page = (path: string, blocks: ReadonlyMap<string, string>) =>
    texts.set(path, replaceBlocks(path, repository.read(path), blocks))

  for (const product of products) {
    page(`docs/topics/${product.slug}.md`, pageBlocks(product, schema, sampleOf(repository, product.slug)))
    texts.set(`docs/contracts/${product.slug}.odcs.yaml`, dataContract(product, schema))
  }
  page('docs/topics/internal.md', internalBlocks(allTopics))
  page('docs/topics/README.md', indexBlocks(products))
  texts.set(
    'docs/asyncapi.yaml',
    asyncapiDocument(products, schema, (slug) => sampleOf(repository, slug)),
  )
  texts.set('docs/telemetry.md', telemetryPage())
  return texts
}

export function schemaOf(repository: Repository): Schema {
  return new Schema(repository.readBytes('docs/plateau.binpb'), (file) => repository.read(`proto/${file}`))
}

export function sampleOf(repository: Repository, slug: string): Sample {
  return JSON.parse(repository.read(`docs/topics/samples/${slug}.json`)) as Sample
}
