import { describe, expect, it } from 'vitest'
import { numberedPrompts, Questions } from './questions.js'

const sets = [
  { name: 'a', prompts: ['one', 'two'] },
  { name: 'b', prompts: ['three', 'four', 'five'] },
].map(numberedPrompts)
const asked = { count: 6, temperature: 0, maxTokens: 8 }

describe('questions', () => {
  it('take the domains in turn, each from the end of its list and around', () => {
    const prompts = new Questions(sets).next(asked).map(({ domain, prompt }) => `${domain} ${prompt}`)
    expect(prompts).toEqual(['a 1. two', 'b 2. five', 'a 3. one', 'b 4. four', 'a 5. two', 'b 6. three'])
  })

  it('are the same in every turn but for a number, so that none was ever asked before', () => {
    const questions = new Questions(sets)
    const turns = [questions.next(asked), questions.next(asked)]
    const text = ({ prompt }: { prompt: string }): string => prompt.replace(/^\d+/, '')
    expect(turns[1]!.map(text)).toEqual(turns[0]!.map(text))
    expect(new Set(turns.flat().map(({ prompt }) => prompt)).size).toBe(12)
    expect(turns[1]!.map(({ seed }) => seed)).toEqual(turns[0]!.map(({ seed }) => seed))
  })
})
