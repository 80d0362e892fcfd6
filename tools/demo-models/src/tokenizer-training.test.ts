import { describe, expect, it } from 'vitest'
import { preTokens } from './tokenizer-words.js'
import { trainBytePairs } from './tokenizer-training.js'

/** Counts every pair of every word again for each merge: slow, and plain to read. */
function trainPlainly(text: string, merges: number): string[] {
  let words = preTokens(text).map((word) => [...Buffer.from(word)].map((byte) => String.fromCodePoint(byte)))
  const order = new Map(Array.from({ length: 256 }, (_, byte) => [String.fromCodePoint(byte), byte]))
  const learned: string[] = []
  for (let merge = 0; merge < merges; merge++) {
    const counts = new Map<string, number>()
    for (const word of words) {
      for (let i = 0; i + 1 < word.length; i++) {
        const pair = `${word[i]}\0${word[i + 1]}`
        counts.set(pair, (counts.get(pair) ?? 0) + 1)
      }
    }
    const rank = (pair: string): number => {
      const [left, right] = pair.split('\0') as [string, string]
      return order.get(left)! * 65_536 + order.get(right)!
    }
    const best = [...counts].toSorted(([a, n], [b, m]) => m - n || rank(a) - rank(b))[0]
    if (best === undefined || best[1] < 2) break
    const [left, right] = best[0].split('\0') as [string, string]
    learned.push(`${left}|${right}`)
    order.set(left + right, order.size)
    words = words.map((word) => {
      const out: string[] = []
      for (let i = 0; i < word.length; i++) {
        if (word[i] === left && word[i + 1] === right) {
          out.push(left + right)
          i++
        } else out.push(word[i]!)
      }
      return out
    })
  }
  return learned
}

describe('trainBytePairs', () => {
  const text = 'the cat that sat on the mat; aaaa aaaaa banana bananas, then thaw the hat on that cat. aaa!'.repeat(3)

  it('learns the merges of a trainer that counts everything again each time', () => {
    const { merges } = trainBytePairs([text], 256 + 60, [])
    const plain = trainPlainly(text, 60).map((merge) => merge.replaceAll(' ', 'Ġ'))
    expect(plain.length).toBeGreaterThan(20)
    expect(merges.map(([left, right]) => `${left}|${right}`)).toEqual(plain)
  })

  it('gives the same vocabulary however the text is cut into documents', () => {
    const words = preTokens(text)
    expect(trainBytePairs(words, 300, [])).toEqual(trainBytePairs([text], 300, []))
  })

  it('puts special tokens first and stops when no pair occurs twice', () => {
    const { tokens, merges } = trainBytePairs(['abc abd'], 4096, ['<s>', '</s>'])
    expect(tokens.slice(0, 3)).toEqual(['<s>', '</s>', 'Ā'])
    expect(merges).toEqual([['a', 'b']])
    expect(tokens).toHaveLength(2 + 256 + 1)
  })

  it('refuses a vocabulary that cannot hold the bytes', () => {
    expect(() => trainBytePairs([text], 256, ['<s>'])).toThrow(/256 cannot hold 257/)
  })
})

describe('preTokens', () => {
  it('loses nothing of any text', () => {
    for (const text of ['  a\n\n\tb  ', 'x=1234', "it's", 'naïve 日本語 🎉\u200d', ' \r\n ', '\u0000\ufeff']) {
      expect(preTokens(text).join('')).toBe(text)
    }
  })

  it('splits numbers into digits and keeps indentation together', () => {
    expect(preTokens('a 1024')).toEqual(['a', ' ', '1', '0', '2', '4'])
    expect(preTokens('{\n    return')).toEqual(['{', '\n   ', ' return'])
  })
})
