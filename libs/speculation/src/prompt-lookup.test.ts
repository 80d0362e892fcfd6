import { describe, expect, it } from 'vitest'
import { LONGEST_MATCH, PromptLookup } from './prompt-lookup.js'
import { seededRandom } from './random.js'

/** The same rule, slowly: go on with a match while it lasts, else begin at the last place where the last pair occurred. */
class PlainLookup {
  readonly text: number[] = []
  #copy = 0

  append(token: number): void {
    const goesOn = this.#copy > 0 && this.text[this.#copy] === token
    this.text.push(token)
    this.#copy = goesOn ? this.#copy + 1 : this.#lastPlace()
  }

  offer(count: number): { matched: number; tokens: number[] } | undefined {
    if (this.#copy === 0) return undefined
    const { text } = this
    let matched = 0
    while (matched < LONGEST_MATCH && text[this.#copy - 1 - matched] === text.at(-1 - matched)) matched++
    const extended = [...text]
    for (let i = 0; i < count; i++) extended.push(extended[this.#copy + i]!)
    return { matched, tokens: extended.slice(text.length) }
  }

  #lastPlace(): number {
    for (let place = this.text.length - 1; place >= 2; place--) {
      if (this.text[place - 1] === this.text.at(-1) && this.text[place - 2] === this.text.at(-2)) return place
    }
    return 0
  }
}

describe('a lookup', () => {
  it.each([3, 5, 12])('offers what the plain search does, token by token, in text of %d words', (words) => {
    const random = seededRandom(words)
    const plain = new PlainLookup()
    const lookup = new PromptLookup([], 65_536)
    let offers = 0
    for (let t = 0; t < 1500; t++) {
      // Now and then a passage from before.
      const again = random() < 0.1 && t > 20 ? plain.text.slice(t - 20, t - 10) : [Math.floor(random() * words)]
      for (const token of again) plain.append(token)
      lookup.append(again)
      const offer = lookup.offer(1 + (t % 6))
      // The length of a match is not looked for backwards beyond its beginning, so it may be told too short.
      const expected = plain.offer(1 + (t % 6))
      expect(offer?.tokens).toEqual(expected?.tokens)
      expect(offer?.matched ?? 0).toBeLessThanOrEqual(expected?.matched ?? 0)
      if (offer !== undefined) offers++
    }
    expect(offers).toBeGreaterThan(300)
  })

  it('copies what followed in the prompt, and says how much agreed', () => {
    const lookup = new PromptLookup([1, 2, 3, 4, 5, 6, 7, 8, 0, 3], 64)
    expect(lookup.offer(3)).toBeUndefined()
    lookup.append([4])
    expect(lookup.offer(3)).toEqual({ matched: 2, tokens: [5, 6, 7] })
    lookup.append([5, 6])
    expect(lookup.offer(2)).toEqual({ matched: 4, tokens: [7, 8] })
    lookup.append([9])
    expect(lookup.offer(2)).toBeUndefined()
  })

  it('goes on with its own copy where a text repeats itself', () => {
    expect(new PromptLookup([7, 1, 2, 1, 2], 64).offer(5)).toEqual({ matched: 2, tokens: [1, 2, 1, 2, 1] })
    expect(new PromptLookup([4, 4, 4], 64).offer(3)?.tokens).toEqual([4, 4, 4])
  })

  it('does not look further back than it may, and offers only what is still there', () => {
    const random = seededRandom(9)
    const text: number[] = []
    const lookup = new PromptLookup([], 32)
    for (let t = 0; t < 3000; t++) {
      const token = t % 97 < 40 && t > 60 ? text[t - 28]! : Math.floor(random() * 50)
      text.push(token)
      lookup.append([token])
      const offer = lookup.offer(4)
      if (offer === undefined) continue
      // Some place within reach has these tokens before it and these after it.
      const places = Array.from({ length: 31 }, (_, back) => text.length - 1 - back)
      const extended = [...text, ...offer.tokens]
      const fits = (place: number): boolean =>
        Array.from({ length: offer.matched }, (_, i) => extended[place - 1 - i] === text.at(-1 - i)).every(Boolean) &&
        offer.tokens.every((copied, i) => extended[place + i] === copied)
      expect(places.some(fits)).toBe(true)
    }
  })

  it('reads a prompt longer than its reach from its end', () => {
    const prompt = Array.from({ length: 100 }, (_, i) => i)
    const lookup = new PromptLookup(prompt, 16)
    lookup.append([90, 91])
    expect(lookup.offer(2)?.tokens).toEqual([92, 93])
    lookup.append([10, 11])
    expect(lookup.offer(2)).toBeUndefined()
  })

  it('of nothing offers nothing', () => {
    expect(new PromptLookup([], 16).offer(2)).toBeUndefined()
    expect(new PromptLookup([1, 1, 1], 16).offer(0)).toBeUndefined()
    expect(() => new PromptLookup([], 24)).toThrow(/24 is no power of two/)
  })
})
