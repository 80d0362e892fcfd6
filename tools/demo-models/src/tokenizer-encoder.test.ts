import { loadTokenizer } from '@plateau/model-files'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { readDomains } from './corpus-documents.js'
import { modelsFolder } from './corpus.js'
import { encoderOf } from './tokenizer-file.js'

const folder = join(modelsFolder, 'demo-target')
const encoder = encoderOf(readFileSync(join(folder, 'tokenizer.json'), 'utf8'))

describe('the corpus encoder', () => {
  it('gives the tokens that the serving tokenizer gives', async () => {
    const tokenizer = await loadTokenizer(folder)
    const samples = readDomains().flatMap(({ heldOut }) => heldOut.map(({ text }) => text.slice(3000, 6000)))
    samples.push(' \n\n\t x', '日本語 🎉 naïve', "don't 12345 they'll")
    for (const text of samples) expect([...encoder.encode(text)]).toEqual(tokenizer.encode(text))
  })

  it('ends a document with the token it is given', () => {
    expect([...encoder.encode('the', 0)]).toEqual([...encoder.encode('the'), 0])
    expect([...encoder.encode('', 0)]).toEqual([0])
  })

  it('does not take a special token out of text', () => {
    expect([...encoder.encode('<|endoftext|>')]).not.toContain(encoder.idOf('<|endoftext|>'))
  })
})
