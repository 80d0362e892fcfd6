import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { readDomains } from './corpus-documents.js'
import { modelsFolder } from './corpus.js'
import { userPrompts, type Question, type Split } from './user-prompts.js'

const folder = join(modelsFolder, 'prompts')
const questions = readFileSync(join(folder, 'questions.jsonl'), 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => JSON.parse(line) as Question)
const made = userPrompts(questions, readDomains())

describe.each(['chat', 'code'] as const)('prompts of %s', (domain) => {
  const prompts = made[domain]
  const of = (split: Split) => prompts.filter((prompt) => prompt.split === split)

  it('are the ones in the repository', () => {
    expect(JSON.parse(readFileSync(join(folder, `${domain}.json`), 'utf8'))).toEqual(prompts)
  })

  it('are enough, and no two have the same name or text', () => {
    expect(of('train').length).toBeGreaterThan(600)
    expect(of('demo').length).toBeGreaterThan(100)
    expect(of('evaluation').length).toBeGreaterThan(50)
    expect(new Set(prompts.map(({ id }) => id)).size).toBe(prompts.length)
    expect(new Set(prompts.map(({ text }) => text)).size).toBe(prompts.length)
  })

  it('share no passage between splits', () => {
    const passage = (text: string) => text.slice(text.indexOf('\n\n') + 2, -4)
    const trained = of('train')
      .map(({ text }) => text)
      .join('\0')
    const others = [...of('demo'), ...of('evaluation')].filter(({ text }) => text.includes('\n\n'))
    expect(others.filter(({ text }) => trained.includes(passage(text)))).toEqual([])
  })
})
