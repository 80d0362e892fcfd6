import { normal, seededRandom, type Random } from '@plateau/speculation'
import { describe, expect, it } from 'vitest'
import { SequentialTest, type Verdict } from './sequential-test.js'

const options = { margin: 0.03, falseRejection: 0.1, falsePromotion: 0.1 }

/** What is said first, and after how many positions. */
function firstVerdict(
  next: () => number,
  test: SequentialTest,
  most: number,
  response?: (n: number) => string,
): { readonly verdict: Verdict; readonly positions: number } {
  for (let n = 1; n <= most; n++) {
    test.observe(Math.max(-1, Math.min(1, next())), response?.(n - 1))
    const verdict = test.verdict()
    if (verdict !== 'undecided') return { verdict, positions: n }
  }
  return { verdict: 'undecided', positions: most }
}

function shares(runs: number, run: () => Verdict): Record<Verdict, number> {
  const counts = { worse: 0, 'not-worse': 0, undecided: 0 }
  for (let i = 0; i < runs; i++) counts[run()] += 1 / runs
  return counts
}

/** Rate plus three standard errors. */
const most = (rate: number, runs: number): number => rate + 3 * Math.sqrt((rate * (1 - rate)) / runs)

describe('the test of paired differences', () => {
  it('says either wrongly as seldom as it promises, where the truth lies on the margin', () => {
    const random = seededRandom(1)
    for (const next of [() => -0.03 + 0.15 * normal(random), () => (random() < 0.05 ? -0.6 : 0)]) {
      const found = shares(400, () => firstVerdict(next, new SequentialTest(options), 800).verdict)
      expect(found.worse).toBeLessThan(most(0.1, 400))
      expect(found['not-worse']).toBeLessThan(most(0.1, 400))
      expect(found.worse + found['not-worse']).toBeGreaterThan(0)
    }
  })

  it('ends early both ways: equal drafts within hundreds of positions, bad ones within tens', () => {
    const random = seededRandom(2)
    const positionsAt = (difference: number, verdict: Verdict): number[] => {
      const ends = Array.from({ length: 60 }, () =>
        firstVerdict(() => difference + 0.15 * normal(random), new SequentialTest(options), 2_000),
      )
      expect(ends.filter((end) => end.verdict !== verdict).length).toBeLessThanOrEqual(6)
      return ends.map(({ positions }) => positions).toSorted((a, b) => a - b)
    }
    const equal = positionsAt(0, 'not-worse')
    expect(equal[30]).toBeLessThan(250)
    expect(equal[54]).toBeLessThan(500)
    expect(positionsAt(-0.1, 'worse')[30]).toBeLessThan(120)
    expect(positionsAt(-0.4, 'worse')[59]).toBeLessThan(40)
    expect(positionsAt(0.1, 'not-worse')[59]).toBeLessThan(200)
  })

  it('where positions are known by response, few responses of many alike positions do not fool it', () => {
    const random = seededRandom(3)
    const rate = { margin: 0.03, falseRejection: 0.02, falsePromotion: 0.02 }
    const end = (isGrouped: boolean): Verdict =>
      firstVerdict(correlated(random, -0.03), new SequentialTest(rate), 2_048, isGrouped ? responseOf : undefined)
        .verdict
    const grouped = shares(300, () => end(true))
    expect(grouped.worse).toBeLessThan(most(0.02, 300))
    expect(grouped['not-worse']).toBeLessThan(most(0.02, 300))
    const byPosition = shares(100, () => end(false))
    expect(byPosition.worse + byPosition['not-worse']).toBeGreaterThan(0.2)
  })

  it('and it still decides', () => {
    const random = seededRandom(4)
    const ends = Array.from({ length: 50 }, () =>
      firstVerdict(correlated(random, -0.2), new SequentialTest(options), 4_000, responseOf),
    )
    expect(ends.map(({ verdict }) => verdict)).toEqual(Array.from({ length: 50 }, () => 'worse'))
    expect(ends.map(({ positions }) => positions).toSorted((a, b) => a - b)[25]).toBeLessThan(1_000)
  })

  it('its evidence agrees with its verdict', () => {
    const random = seededRandom(5)
    const test = new SequentialTest(options)
    expect(test.evidence()).toEqual({ count: 0, mean: 0, low: -1, high: 1 })
    for (let n = 0; n < 400; n++) {
      test.observe(-0.1 + 0.15 * normal(random))
      const { low, high, mean } = test.evidence()
      expect(low <= mean && mean <= high).toBe(true)
      expect(test.verdict()).toBe(high < -0.03 ? 'worse' : low > -0.03 ? 'not-worse' : 'undecided')
    }
    expect(test.verdict()).toBe('worse')
  })

  it('a margin below 0 asks for more than the incumbent', () => {
    const [none, some] = [-0.1, -0.1].map((margin) => new SequentialTest({ ...options, margin }))
    for (let n = 0; n < 300; n++) {
      none!.observe(0)
      some!.observe(n % 2)
    }
    expect([none!.verdict(), some!.verdict()]).toEqual(['worse', 'not-worse'])
  })
})

const responseOf = (n: number): string => `${Math.floor(n / 64)}`

/** Differences whose mean is another in every response of 64, and that follow each other within it. */
function correlated(random: Random, mean: number): () => number {
  let [n, centre, noise] = [0, 0, 0]
  return () => {
    if (n++ % 64 === 0) [centre, noise] = [mean + 0.06 * normal(random), 0.13 * normal(random)]
    noise = 0.8 * noise + 0.13 * 0.6 * normal(random)
    return centre + noise
  }
}
