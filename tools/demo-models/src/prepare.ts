import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { readDomains } from './corpus-documents.js'
import { loadCorpus, modelsFolder } from './corpus.js'
import { endOfText, tokenizerConfigJson, tokenizerJson } from './tokenizer-file.js'
import { trainBytePairs } from './tokenizer-training.js'

/**
 * Trains the demo models' tokenizer on the training documents and writes it into both model folders; then encodes the
 * corpus, so that training starts at once. Run: tsc -b tools/demo-models && node tools/demo-models/dist/prepare.js
 */
const vocabSize = 4096
const maxTokens = 1024

const texts = readDomains().flatMap(({ train }) => train.map(({ text }) => text))
const json = tokenizerJson(trainBytePairs(texts, vocabSize, [endOfText]))
for (const model of ['demo-target', 'tiny-target']) {
  const folder = join(modelsFolder, model)
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'tokenizer.json'), json)
  writeFileSync(join(folder, 'tokenizer_config.json'), tokenizerConfigJson(maxTokens))
}
for (const { name, train, heldOut } of loadCorpus().domains) {
  console.log(`${name}: ${train.length} training tokens, ${heldOut.length} held-out tokens`)
}
