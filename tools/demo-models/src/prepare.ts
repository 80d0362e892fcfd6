import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { readDomains } from './corpus-documents.js'
import { loadCorpus, modelsFolder } from './corpus.js'
import { samplePrompts } from './prompts.js'
import { encoderOf, endOfText, tokenizerConfigJson, tokenizerJson } from './tokenizer-file.js'
import { trainBytePairs } from './tokenizer-training.js'

/**
 * Trains the demo models' tokenizer on the training documents and writes it into both model folders, with prompts from
 * the held-out documents; then encodes the corpus, so that training starts at once.
 * Run: tsc -b tools/demo-models && node tools/demo-models/dist/prepare.js
 */
const vocabSize = 4096
const maxTokens = 1024
const prompts = { count: 400, minTokens: 24, maxTokens: 48, seed: 20_260_118 }

const domains = readDomains()
const texts = domains.flatMap(({ train }) => train.map(({ text }) => text))
const json = tokenizerJson(trainBytePairs(texts, vocabSize, [endOfText]))
for (const model of ['demo-target', 'tiny-target']) {
  write(join(model, 'tokenizer.json'), json)
  write(join(model, 'tokenizer_config.json'), tokenizerConfigJson(maxTokens))
}
const encoder = encoderOf(json)
for (const domain of domains) {
  const sampled = samplePrompts(domain, encoder, prompts)
  write(join('demo-target', 'prompts', `${domain.name}.json`), `${JSON.stringify(sampled, null, 1)}\n`)
  console.log(`${domain.name}: ${sampled.length} prompts`)
}
for (const { name, train, heldOut } of loadCorpus().domains) {
  console.log(`${name}: ${train.length} training tokens, ${heldOut.length} held-out tokens`)
}

function write(name: string, content: string): void {
  const file = join(modelsFolder, name)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, content)
}
