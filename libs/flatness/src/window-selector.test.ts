import { describe, expect, it } from 'vitest'
import type { Arm } from './arm.js'
import { lotOf } from './arm.js'
import { selectionPolicy } from './selection-policy.js'
import { strategyNames } from './strategies/registry.js'
import type { WindowStatistics } from './strategies/strategy.js'
import { seeded } from './testing.js'
import { WindowSelector } from './window-selector.js'

const policy = (strategy: string, keep = 0.5) =>
  selectionPolicy({ strategy, keep, closedFormWeight: 'inverse-flatness' })

function windowOf(flatness: number, id: string): WindowStatistics {
  return {
    flatness: Float32Array.of(flatness, flatness),
    entropy: Float32Array.of(flatness * 8, flatness * 8),
    top1: Float32Array.of(1 - flatness, 1 - flatness),
    margin: Float32Array.of(1 - flatness, 1 - flatness),
    energy: Float32Array.of(flatness - 9, flatness - 9),
    perplexity: Math.exp(flatness),
    lot: lotOf(id, 0),
  }
}

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

describe('a restart', () => {
  it('goes on as if nothing had happened, once the recent windows are remembered', () => {
    const windows = stream(1200, (i) => 0.2 + i * 1e-4)
    const unbroken = new WindowSelector(policy('flatness'))
    const expected = windows.map((window) => unbroken.decide(window, 'selected'))
    const restarted = new WindowSelector(policy('flatness'))
    for (const window of windows.slice(100, 700)) restarted.remember(window)
    expect(windows.slice(700).map((window) => restarted.decide(window, 'selected'))).toEqual(expected.slice(700))
  })
})
