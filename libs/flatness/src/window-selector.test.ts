import { describe, expect, it } from 'vitest'
import { lotOf, type Arm } from './arm.js'
import { selectionPolicy } from './selection-policy.js'
import { strategyNames } from './strategies/registry.js'
import type { WindowStatistics } from './strategies/strategy.js'
import { seeded, trafficOf, windowWith } from './testing.js'
import { WindowSelector, windowsToRemember } from './window-selector.js'

const policy = (strategy: string, keep = 0.5) =>
  selectionPolicy({ strategy, keep, closedFormWeight: 'inverse-flatness' })

const windowOf = (flatness: number, sampleId: string): WindowStatistics =>
  windowWith({ flatness: [flatness, flatness], sampleId, perplexity: Math.exp(flatness) })

/** A stream of `n` windows whose mean flatness moves as `level` says, with noise of the given spread. */
function stream(n: number, level: (i: number) => number, spread = 0.05, seed = 1): WindowStatistics[] {
  const random = seeded(seed)
  return Array.from({ length: n }, (_, i) => windowOf(level(i) + (random() - 0.5) * spread, `s${i}`))
}

function keptShare(selector: WindowSelector, windows: WindowStatistics[], arm: Arm = 'selected'): number {
  return windows.filter((window) => selector.decide(window, arm).keep).length / windows.length
}

describe('the kept share holds', () => {
  for (const keep of [0.1, 0.3, 0.5, 0.8]) {
    it(`at keep=${keep} on steady traffic`, () => {
      const selector = new WindowSelector(policy('flatness', keep))
      keptShare(
        selector,
        stream(600, () => 0.2),
      )
      expect(
        Math.abs(
          keptShare(
            selector,
            stream(5000, () => 0.2, 0.05, 2),
          ) - keep,
        ),
      ).toBeLessThan(0.03)
    })
  }

  for (const [name, level] of [
    ['a step up', (i: number) => (i < 3000 ? 0.2 : 0.5)],
    ['a step down', (i: number) => (i < 3000 ? 0.5 : 0.2)],
    ['a slow ramp up', (i: number) => 0.1 + i * 1e-5],
    ['a slow ramp down', (i: number) => 0.6 - i * 1e-5],
    ['waves', (i: number) => 0.4 + 0.1 * Math.sin(i / 900)],
  ] as const) {
    it(`within a few percent over ${name}`, () => {
      const selector = new WindowSelector(policy('flatness'))
      const windows = stream(10_000, level, 0.2)
      expect(Math.abs(keptShare(selector, windows) - 0.5)).toBeLessThan(0.04)
    })
  }

  it('again at most one window length after an abrupt shift', () => {
    const selector = new WindowSelector(policy('flatness'), { recentWindows: 256 })
    keptShare(
      selector,
      stream(1000, () => 0.2),
    )
    keptShare(
      selector,
      stream(256, () => 0.7),
    )
    const after = keptShare(
      selector,
      stream(2000, () => 0.7, 0.05, 3),
    )
    expect(Math.abs(after - 0.5)).toBeLessThan(0.05)
  })

  it('when all scores are equal: by lot, not all or nothing', () => {
    for (const keep of [0.25, 0.5]) {
      const selector = new WindowSelector(policy('flatness', keep))
      const share = keptShare(
        selector,
        stream(5000, () => 0.3, 0),
      )
      expect(Math.abs(share - keep)).toBeLessThan(0.04)
    }
  })

  for (const strategy of strategyNames.filter((name) => name !== 'none')) {
    it(`for strategy ${strategy}`, () => {
      const share = keptShare(
        new WindowSelector(policy(strategy, 0.4)),
        stream(5000, () => 0.3),
      )
      expect(Math.abs(share - 0.4)).toBeLessThan(0.04)
    })
  }
})

describe('strategies', () => {
  const flat = windowOf(0.9, 'flat')
  const peaked = windowOf(0.1, 'peaked')

  for (const [strategy, first, second] of [
    ['flatness', flat, peaked],
    ['least-flat', peaked, flat],
    ['entropy', flat, peaked],
    ['top1', flat, peaked],
    ['margin', flat, peaked],
    ['energy', flat, peaked],
    ['perplexity', flat, peaked],
  ] as const) {
    it(`${strategy} keeps what its name says`, () => {
      const selector = new WindowSelector(policy(strategy), { warmUpWindows: 1 })
      for (const window of stream(100, () => 0.5)) selector.remember(window)
      expect(selector.decide(first, 'selected').keep).toBe(true)
      expect(selector.decide(second, 'selected').keep).toBe(false)
    })
  }

  it('none keeps everything of the selected and control arms', () => {
    const selector = new WindowSelector(policy('none', 0.1))
    for (const window of stream(200, () => 0.3)) {
      expect(selector.decide(window, 'selected')).toMatchObject({ keep: true, threshold: Number.NEGATIVE_INFINITY })
      expect(selector.decide(window, 'control').keep).toBe(true)
    }
  })

  it('that are unknown, and shares outside (0, 1], are refused by name', () => {
    expect(() => policy('flattest')).toThrow(/flattest.*known are flatness, least-flat/)
    for (const keep of [0, -1, 1.5, Number.NaN]) expect(() => policy('flatness', keep)).toThrow(/keep is/)
    expect(() => selectionPolicy({ strategy: 'flatness', keep: 0.5, closedFormWeight: 'flat' })).toThrow(/"flat"/)
  })
})

describe('arms', () => {
  it('evaluation is never kept, not even during warm-up', () => {
    const selector = new WindowSelector(policy('flatness'))
    expect(
      keptShare(
        selector,
        stream(500, () => 0.3),
        'evaluation',
      ),
    ).toBe(0)
  })

  it('control is kept at the policy’s share whatever its score', () => {
    const selector = new WindowSelector(policy('flatness', 0.3))
    for (const window of stream(600, () => 0.3)) selector.decide(window, 'selected')
    for (const level of [0.01, 0.9]) {
      const share = keptShare(
        selector,
        stream(3000, () => level),
        'control',
      )
      expect(Math.abs(share - 0.3)).toBeLessThan(0.05)
    }
  })
})

describe('warm-up', () => {
  it('keeps everything and has no threshold until enough windows were seen', () => {
    const selector = new WindowSelector(policy('flatness'), { warmUpWindows: 32 })
    const verdicts = stream(40, () => 0.3).map((window) => selector.decide(window, 'selected'))
    expect(verdicts.slice(0, 32).every((v) => v.keep && Number.isNaN(v.threshold))).toBe(true)
    expect(verdicts.slice(32).every((v) => Number.isFinite(v.threshold))).toBe(true)
  })

  it('is not repeated when the strategy changes: recent windows are ranked anew', () => {
    const selector = new WindowSelector(policy('flatness'))
    for (const window of stream(100, () => 0.3)) selector.decide(window, 'selected')
    selector.use(policy('entropy'))
    const fresh = new WindowSelector(policy('entropy'))
    for (const window of stream(100, () => 0.3)) fresh.remember(window)
    const next = windowOf(0.301, 'next')
    expect(selector.decide(next, 'selected')).toEqual(fresh.decide(next, 'selected'))
  })
})

/** Positions that gradients may use: how many there are, and what they count. */
function kept(selector: WindowSelector, windows: readonly WindowStatistics[], arm: Arm = 'selected') {
  const total = { positions: 0, kept: 0, counted: 0 }
  for (const window of windows) {
    const n = window.flatness.length
    const verdict = selector.decide(window, arm)
    const weights = verdict.gradientWeights ?? new Float32Array(n).fill(verdict.keep ? 1 : 0)
    total.positions += n
    total.kept += weights.filter((weight) => weight > 0).length
    total.counted += weights.reduce((sum, weight) => sum + weight, 0)
  }
  return { share: total.kept / total.positions, counted: total.counted / total.positions }
}

const ruled = (parts: Partial<Parameters<typeof selectionPolicy>[0]>) =>
  selectionPolicy({ strategy: 'flatness', keep: 0.4, closedFormWeight: 'uniform', ...parts })

describe('a budget of tokens', () => {
  // Short windows are flat: half of the windows are a tenth of the tokens.
  const windows = trafficOf(6000, { sizes: [1, 9] }).map((window) =>
    window.flatness.length === 1 ? windowWith({ ...window, flatness: [window.flatness[0]! + 0.4] }) : window,
  )

  it('is a share of positions, where one of windows is not', () => {
    expect(Math.abs(kept(new WindowSelector(ruled({ budget: 'tokens' })), windows).share - 0.4)).toBeLessThan(0.02)
    expect(kept(new WindowSelector(ruled({ budget: 'windows' })), windows).share).toBeLessThan(0.15)
  })

  it('is matched by the control arm', () => {
    const selector = new WindowSelector(ruled({ budget: 'tokens' }))
    expect(Math.abs(kept(selector, windows, 'control').share - 0.4)).toBeLessThan(0.02)
  })
})

describe('a stratified rule', () => {
  const domains = ['chat', 'code', 'sums']
  const windows = trafficOf(9000, { domains }).map((window) =>
    windowWith({ ...window, flatness: [...window.flatness].map((f) => f + 0.3 * domains.indexOf(window.domain)) }),
  )
  const shares = (stratified: boolean, budget = 'windows', unit = 'window'): number[] => {
    const selector = new WindowSelector(ruled({ stratified, budget, unit }))
    const verdicts = windows.map((window) => ({ window, ...kept(selector, [window]) }))
    return domains.map((domain) => {
      const mine = verdicts.filter(({ window }) => window.domain === domain)
      return mine.reduce((sum, { share }) => sum + share, 0) / mine.length
    })
  }

  it('holds the share in every domain, where one over all keeps the flattest domain', () => {
    for (const share of shares(true)) expect(Math.abs(share - 0.4)).toBeLessThan(0.03)
    const [least, , most] = shares(false)
    expect(least!).toBeLessThan(0.05)
    expect(most!).toBeGreaterThan(0.9)
  })

  it('of tokens too', () => {
    for (const share of shares(true, 'tokens')) expect(Math.abs(share - 0.4)).toBeLessThan(0.03)
    for (const share of shares(true, 'tokens', 'token')) expect(Math.abs(share - 0.4)).toBeLessThan(0.03)
  })

  it('holds it in a domain that is seen once in a hundred windows', () => {
    const rare = trafficOf(40_000, { domains: ['rare', ...Array.from({ length: 99 }, () => 'usual')], seed: 5 })
    const selector = new WindowSelector(ruled({ stratified: true }))
    const mine = rare.map((window) => ({ window, ...selector.decide(window, 'selected') }))
    const verdicts = mine.filter(({ window }) => window.domain === 'rare')
    expect(verdicts.length).toBeGreaterThan(300)
    const share = verdicts.filter(({ keep }) => keep).length / verdicts.length
    // Standard error of a share of 400: .025.
    expect(Math.abs(share - 0.4)).toBeLessThan(0.07)
  })
})

describe('unit sample', () => {
  const of = (sampleId: string, level: number): WindowStatistics => windowOf(level, sampleId)

  it('judges a window by all of its response that is known', () => {
    const judged = (unit: string): boolean => {
      const selector = new WindowSelector(ruled({ unit, keep: 0.5 }), { warmUpWindows: 1 })
      for (const window of stream(100, () => 0.5)) selector.remember(window)
      for (let i = 0; i < 3; i++) selector.decide(of('flat at first', 0.9), 'selected')
      return selector.decide(of('flat at first', 0.3), 'selected').keep
    }
    expect(judged('window')).toBe(false)
    expect(judged('sample')).toBe(true)
  })

  it('scores them as the one window that they would be, whatever the strategy', () => {
    const selector = new WindowSelector(ruled({ strategy: 'median-flatness', unit: 'sample' }))
    selector.decide(windowWith({ flatness: [0.1, 0.2, 0.3], sampleId: 'a' }), 'selected')
    selector.decide(windowWith({ flatness: [1], sampleId: 'b' }), 'selected')
    const { score } = selector.decide(windowWith({ flatness: [0.8, 0.9], sampleId: 'a' }), 'selected')
    expect(score).toBeCloseTo(0.3, 6)
    const perplexed = new WindowSelector(ruled({ strategy: 'perplexity', unit: 'sample' }))
    perplexed.decide(windowWith({ flatness: [0.5], tokenLogProb: [-1], sampleId: 'a' }), 'selected')
    const next = windowWith({ flatness: [0.5, 0.5], tokenLogProb: [-2, -3], sampleId: 'a' })
    expect(perplexed.decide(next, 'selected').score).toBeCloseTo(Math.exp(2), 5)
  })

  it('has one lot for a response: random, and the control arm, keep all of it or nothing', () => {
    const windows = trafficOf(1000).flatMap((window) => [window, { ...window, lot: lotOf(window.sampleId, 1) }])
    for (const [strategy, arm] of [
      ['random', 'selected'],
      ['flatness', 'control'],
    ] as const) {
      const selector = new WindowSelector(ruled({ strategy, unit: 'sample' }))
      const keeps = windows.map((window) => selector.decide(window, arm).keep).slice(100)
      const torn = keeps.filter((keep, i) => i % 2 === 1 && keep !== keeps[i - 1]).length
      // The random strategy's threshold moves a little between two windows.
      expect(torn).toBeLessThan(strategy === 'random' ? 40 : 1)
      expect(Math.abs(keeps.filter(Boolean).length / keeps.length - 0.4)).toBeLessThan(0.06)
    }
  })
})

describe('unit token', () => {
  const windows = trafficOf(1500, { sizes: [3, 20, 60] })

  it('keeps the best positions: those that reach the threshold, and no others', () => {
    const selector = new WindowSelector(ruled({ unit: 'token' }))
    for (const window of windows) {
      const { threshold, gradientWeights, keep } = selector.decide(window, 'selected')
      if (Number.isNaN(threshold)) continue
      const reached = [...window.flatness].map((f) => (f >= threshold ? 1 : 0))
      expect([...gradientWeights!]).toEqual(reached)
      expect(keep).toBe(reached.includes(1))
    }
  })

  it('keeps the share of positions, of long windows and short', () => {
    const { share } = kept(new WindowSelector(ruled({ unit: 'token' })), windows)
    expect(Math.abs(share - 0.4)).toBeLessThan(0.02)
  })

  it('has a control arm of random positions at the same share', () => {
    const selector = new WindowSelector(ruled({ unit: 'token' }))
    const { share } = kept(selector, windows, 'control')
    expect(Math.abs(share - 0.4)).toBeLessThan(0.01)
    const { gradientWeights } = selector.decide(windows[1]!, 'control')
    expect([...gradientWeights!].every((weight) => weight === 0 || weight === 1)).toBe(true)
  })

  it('counts nothing of the evaluation arm', () => {
    const selector = new WindowSelector(ruled({ unit: 'token' }))
    for (const window of windows.slice(0, 50)) {
      const { keep, gradientWeights } = selector.decide(window, 'evaluation')
      expect(keep).toBe(false)
      expect(gradientWeights).toEqual(new Float32Array(window.flatness.length))
    }
  })

  it('follows a shift of the scores: the share recovers within the recent windows', () => {
    const selector = new WindowSelector(ruled({ unit: 'token' }))
    kept(selector, trafficOf(600, { sizes: [10] }))
    const shifted = trafficOf(1200, { level: () => 0.6, sizes: [10], seed: 2 })
    expect(kept(selector, shifted.slice(0, 20)).share).toBeGreaterThan(0.8)
    kept(selector, shifted.slice(20, 148))
    expect(Math.abs(kept(selector, shifted.slice(148)).share - 0.4)).toBeLessThan(0.03)
  })
})

describe('what a draft-aware rule cannot rank', () => {
  for (const unit of ['window', 'sample', 'token']) {
    it(`goes by lot at the share, before there is a draft and beside one (unit ${unit})`, () => {
      const selector = new WindowSelector(ruled({ strategy: 'draft-gap', unit }))
      kept(selector, trafficOf(100))
      expect(Math.abs(kept(selector, trafficOf(3000, { seed: 2 })).share - 0.4)).toBeLessThan(0.03)
      const mixed = trafficOf(3000, { seed: 3, drafted: 0.3, sizes: [1, 4] })
      expect(Math.abs(kept(selector, mixed).share - 0.4)).toBeLessThan(0.03)
    })
  }

  it('has no score', () => {
    const selector = new WindowSelector(ruled({ strategy: 'draft-gap' }), { warmUpWindows: 1 })
    for (const window of trafficOf(50, { drafted: 1 })) selector.remember(window)
    const verdict = selector.decide(windowOf(0.5, 'undrafted'), 'selected')
    expect(verdict.score).toBeNaN()
    expect(verdict.threshold).toBeGreaterThan(0)
  })
})

describe('weighted sampling', () => {
  const windows = trafficOf(20_000, { sizes: [1, 5] })
  for (const unit of ['window', 'sample', 'token']) {
    for (const arm of ['selected', 'control'] as const) {
      it(`counts every position 1 on average, and keeps the share (unit ${unit}, ${arm})`, () => {
        const selector = new WindowSelector(ruled({ sampling: 'weighted', unit, budget: 'tokens' }))
        const { share, counted } = kept(selector, windows, arm)
        expect(Math.abs(share - 0.4)).toBeLessThan(0.015)
        // A count's variance is at most 4/keep - 1 = 9; 60,000 positions in 20,000 windows of mixed length: .03 is 3 errors.
        expect(Math.abs(counted - 1)).toBeLessThan(0.03)
      })
    }
  }

  it('is not biased towards what it prefers: of the flattest tenth, too, everything counts 1 on average', () => {
    const selector = new WindowSelector(ruled({ sampling: 'weighted' }))
    const counts = windows.map((window) => ({ window, ...kept(selector, [window]) }))
    const byScore = counts.toSorted((a, b) => b.window.flatness[0]! - a.window.flatness[0]!)
    const meanOver = (of: typeof counts, what: 'share' | 'counted'): number =>
      of.reduce((sum, one) => sum + one[what], 0) / of.length
    const [flattest, peaked] = [byScore.slice(0, 2000), byScore.slice(-2000)]
    expect(Math.abs(meanOver(flattest, 'counted') - 1)).toBeLessThan(0.06)
    expect(Math.abs(meanOver(peaked, 'counted') - 1)).toBeLessThan(0.2)
    expect(meanOver(flattest, 'share')).toBeGreaterThan(3 * meanOver(peaked, 'share'))
  })

  it('counts nothing more than 4/keep', () => {
    for (const keep of [0.1, 0.5, 0.9]) {
      const selector = new WindowSelector(ruled({ sampling: 'weighted', keep }))
      const most = Math.max(
        ...windows.slice(0, 3000).flatMap((w) => [...(selector.decide(w, 'selected').gradientWeights ?? [])]),
      )
      expect(most).toBeLessThanOrEqual(4 / keep + 1e-5)
      expect(most).toBeGreaterThan(1)
    }
  })
})

describe('trials', () => {
  const trials = [
    { strategy: 'least-flat', keep: 0.3 },
    { strategy: 'flatness', keep: 0.4 },
    { strategy: 'random', keep: 0.5, unit: 'sample' },
  ]
  const names = ['least-flat(keep=0.3)', 'flatness(keep=0.4)', 'random(keep=0.5,unit=sample)']

  it('say what they would have kept, as they would have decided alone, and decide nothing', () => {
    const windows = trafficOf(500)
    const selector = new WindowSelector(ruled({ trials }))
    const plain = new WindowSelector(ruled({}))
    const alone = trials.map((parts) => new WindowSelector(ruled(parts)))
    for (const window of windows) {
      const { keptBy, ...verdict } = selector.decide(window, 'selected')
      const { keptBy: none, ...expected } = plain.decide(window, 'selected')
      expect(verdict).toEqual(expected)
      expect(none).toEqual([])
      expect(keptBy).toEqual(names.filter((_, i) => alone[i]!.decide(window, 'selected').keep))
    }
  })

  it('try the control arm as if it were selected, and the evaluation arm not at all', () => {
    const selector = new WindowSelector(ruled({ trials }))
    const other = new WindowSelector(ruled({ trials }))
    for (const window of trafficOf(200)) {
      expect(selector.decide(window, 'evaluation').keptBy).toEqual([])
      expect(other.decide(window, 'control').keptBy.length).toBeLessThanOrEqual(3)
    }
    const next = windowOf(0.9, 'next')
    expect(other.decide(next, 'control').keptBy).toEqual(selector.decide(next, 'selected').keptBy)
  })

  it('can change while the rule in force goes on, and need no warm-up', () => {
    const windows = trafficOf(300)
    const selector = new WindowSelector(ruled({}))
    for (const window of windows.slice(0, 200)) selector.decide(window, 'selected')
    selector.use(ruled({ trials }))
    const fresh = new WindowSelector(ruled({ trials }))
    for (const window of windows.slice(0, 200)) fresh.remember(window)
    for (const window of windows.slice(200)) {
      expect(selector.decide(window, 'selected')).toEqual(fresh.decide(window, 'selected'))
    }
  })
})

describe('a restart', () => {
  it('goes on as if nothing had happened, once the recent windows are remembered', () => {
    const windows = stream(1200, (i) => 0.2 + i * 1e-4)
    const unbroken = new WindowSelector(policy('flatness'))
    const expected = windows.map((window) => unbroken.decide(window, 'selected'))
    const restarted = new WindowSelector(policy('flatness'))
    for (const window of windows.slice(100, 700)) restarted.remember(window)
    expect(windows.slice(700).map((window) => restarted.decide(window, 'selected'))).toEqual(expected.slice(700))
  })

  // Responses of several windows that interleave.
  const interleaved = trafficOf(260, { sizes: [1, 2, 5], domains: ['a', 'b'], drafted: 0.5 }).map((window, i) => {
    const sampleId = `response-${(i % 4) + 4 * Math.floor(i / 24)}`
    return { ...window, sampleId, lot: lotOf(sampleId, i) }
  })
  const rules = strategyNames.flatMap((strategy) => [
    ...['window', 'sample', 'token'].map((unit) => ({ strategy, unit, budget: 'tokens' })),
    { strategy, unit: 'sample', stratified: true, sampling: 'weighted' },
    { strategy, unit: 'token', stratified: true, sampling: 'weighted' },
  ])

  it.each(rules)('needs no more than windowsToRemember: %o', (parts) => {
    const options = { recentWindows: 20, warmUpWindows: 5 }
    const unbroken = new WindowSelector(ruled(parts), options)
    const expected = interleaved.map((window) => unbroken.decide(window, 'selected'))
    const restarted = new WindowSelector(ruled(parts), options)
    for (const window of interleaved.slice(160 - windowsToRemember(20), 160)) restarted.remember(window)
    const actual = interleaved.slice(160).map((window) => restarted.decide(window, 'selected'))
    expect(actual).toEqual(expected.slice(160))
  })
})
