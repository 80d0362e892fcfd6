import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { temporaryDirectory } from '../testing/temporary-log.js'
import { readPromptFiles } from './prompt-file.js'

function file(name: string, content: string): string {
  const path = join(temporaryDirectory(), name)
  writeFileSync(path, content)
  return path
}

test('texts, lines and objects are prompts of the domain that the file names', async () => {
  const texts = await readPromptFiles(file('chat.txt', 'One\nline.\n\n\nTwo\n'))
  expect(texts.map(({ text, domain }) => [text, domain])).toEqual([
    ['One\nline.', 'chat'],
    ['Two\n', 'chat'],
  ])
  const lines = await readPromptFiles(file('code.jsonl', '{"prompt": "a", "domain": "python"}\n\n"b"\n'))
  expect(lines.map(({ text, domain }) => [text, domain])).toEqual([
    ['a', 'python'],
    ['b', 'code'],
  ])
})

test('a folder is all its .json files, and every prompt has a name of its own', async () => {
  const folder = join(temporaryDirectory(), 'prompts')
  mkdirSync(folder)
  writeFileSync(join(folder, 'b.json'), '["x", "y"]')
  writeFileSync(join(folder, 'a.json'), '[{"id": "first", "text": "z"}]')
  writeFileSync(join(folder, 'README.md'), 'no prompts')
  const prompts = await readPromptFiles(folder)
  expect(prompts.map(({ id }) => id)).toEqual(['a/first', 'b/0', 'b/1'])
})

test('a split that prompts name is kept, and what is for something else is left out', async () => {
  const entries = ['train', 'evaluation', 'demo'].map((split) => ({ text: split, split }))
  const prompts = await readPromptFiles(file('p.json', JSON.stringify(entries)))
  expect(prompts.map(({ text, split }) => [text, split])).toEqual([
    ['train', 'train'],
    ['evaluation', 'evaluation'],
  ])
})

test('where none names a split, one in twelve is set aside', async () => {
  const prompts = await readPromptFiles(file('p.json', JSON.stringify(Array.from({ length: 36 }, (_, i) => `p${i}`))))
  expect(prompts.filter(({ split }) => split === 'evaluation').map(({ text }) => text)).toEqual(['p0', 'p12', 'p24'])
})

test.each([
  ['not JSON', 'p.json', '[', 'cannot be used as prompts'],
  ['an object', 'p.json', '{}', 'it is not an array'],
  ['an entry without text', 'p.json', '["a", {"id": "b"}]', 'entry 1 has neither text nor prompt'],
  ['nothing', 'p.json', '[]', 'holds no prompts'],
])('%s is refused, naming the file', async (_what, name, content, sentence) => {
  const path = file(name, content)
  await expect(readPromptFiles(path)).rejects.toThrow(path)
  await expect(readPromptFiles(path)).rejects.toThrow(sentence)
})
