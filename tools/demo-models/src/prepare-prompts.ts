import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { readDomains } from './corpus-documents.js'
import { modelsFolder } from './corpus.js'
import { userPrompts, type Question } from './user-prompts.js'

/**
 * Writes models/prompts/chat.json and code.json, prompts for a real model, from questions.jsonl beside them and the text
 * that the demo models are trained on.
 * Run: tsc -b tools/demo-models && node tools/demo-models/dist/prepare-prompts.js
 */
const folder = join(modelsFolder, 'prompts')
const questions = readFileSync(join(folder, 'questions.jsonl'), 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => JSON.parse(line) as Question)

for (const [domain, prompts] of Object.entries(userPrompts(questions, readDomains()))) {
  writeFileSync(join(folder, `${domain}.json`), `${JSON.stringify(prompts, null, 1)}\n`)
  const splits = [...new Set(prompts.map(({ split }) => split))]
  const counts = splits.map((split) => `${split} ${prompts.filter((prompt) => prompt.split === split).length}`)
  console.log(`${domain}: ${counts.join(', ')}`)
}
