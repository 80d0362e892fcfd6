import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type DomainDocuments, isHeldOut, readDomains } from './corpus-documents.js'
import { modelsFolder } from './corpus.js'
import { type Prompt, samplePrompts } from './prompts.js'
import { encoderOf } from './tokenizer-file.js'

const encoder = encoderOf(readFileSync(join(modelsFolder, 'demo-target', 'tokenizer.json'), 'utf8'))
const options = { count: 50, minTokens: 8, maxTokens: 12, seed: 7 }

const sentences = Array.from(
  { length: 40 },
  (_, i) => `The ${i} senators of district ${i * 7} voted for measure ${i * 13} today.`,
)
const domain: DomainDocuments = {
  name: 'sotu',
  train: [{ name: 'a', text: sentences.slice(0, 20).join(' ') }],
  heldOut: [{ name: 'b', text: sentences.slice(10).join(' ') }],
}

describe('samplePrompts', () => {
  const prompts = samplePrompts(domain, encoder, options)

  it('takes no text that training has seen', () => {
    expect(prompts.length).toBeGreaterThan(5)
    for (const { text } of prompts) expect(domain.train[0]!.text).not.toContain(text)
    for (const { text } of prompts) expect(domain.heldOut[0]!.text).toContain(text)
  })

  it('draws the same prompts for the same seed and others for another', () => {
    expect(samplePrompts(domain, encoder, options)).toEqual(prompts)
    expect(samplePrompts(domain, encoder, { ...options, seed: 8 })).not.toEqual(prompts)
  })

  it('begins at a sentence and keeps to the asked length', () => {
    for (const { text } of prompts) {
      expect(text).toMatch(/^The \d+ senators/)
      expect(encoder.encode(text).length).toBeGreaterThanOrEqual(8)
      expect(encoder.encode(text).length).toBeLessThanOrEqual(12)
    }
  })

  it('lets no two prompts overlap', () => {
    const begins = prompts.map(({ text }) => ({ text, at: domain.heldOut[0]!.text.indexOf(text) }))
    const overlapping = begins.flatMap((a, i) =>
      begins.slice(i + 1).filter((b) => b.at < a.at + a.text.length && a.at < b.at + b.text.length),
    )
    expect(overlapping).toEqual([])
  })
})

describe('the committed prompts', () => {
  const domains = readDomains()

  it.each(domains)(
    'of $name are long enough, distinct and absent from the training text',
    ({ name, train, heldOut }) => {
      const file = join(modelsFolder, 'demo-target', 'prompts', `${name}.json`)
      const prompts = JSON.parse(readFileSync(file, 'utf8')) as Prompt[]
      const training = train.map(({ text }) => text).join('\0')
      expect(prompts).toHaveLength(400)
      expect(new Set(prompts.map(({ text }) => text)).size).toBe(400)
      for (const { text } of prompts) {
        const tokens = encoder.encode(text).length
        expect(tokens >= 24 && tokens <= 48).toBe(true)
        expect(heldOut.some((document) => document.text.includes(text))).toBe(true)
        expect(training.includes(text)).toBe(false)
      }
    },
  )

  it('come from files that are held out by name alone, about one in twenty', () => {
    const sizes = domains.map(({ train, heldOut }) => [train, heldOut] as const)
    for (const [train, heldOut] of sizes) {
      expect(train.some(({ name }) => isHeldOut(name))).toBe(false)
      expect(heldOut.every(({ name }) => isHeldOut(name))).toBe(true)
      expect(heldOut.length).toBeGreaterThan(10)
    }
  })
})
