import { describe, expect, it } from 'vitest'
import { keepRule, ruleName } from './keep-rule.js'
import { selectionPolicy } from './selection-policy.js'

describe('a keep rule', () => {
  it('keeps single windows, a share of windows, the best of all, where nothing else is said', () => {
    const plain = keepRule({ strategy: 'flatness', keep: 0.5 })
    expect(plain).toMatchObject({ unit: 'window', budget: 'windows', stratified: false, sampling: 'top' })
    // As a record states what it leaves out.
    expect(
      keepRule({ strategy: 'flatness', keep: 0.5, unit: '', budget: '', stratified: false, sampling: '' }),
    ).toEqual(plain)
  })

  it.each([
    [{}, 'flatness(keep=0.5)'],
    [{ unit: 'token' }, 'flatness(keep=0.5,unit=token)'],
    [{ unit: 'token', budget: 'windows' }, 'flatness(keep=0.5,unit=token)'],
    [{ unit: 'sample', budget: 'tokens' }, 'flatness(keep=0.5,unit=sample,budget=tokens)'],
    [{ stratified: true, sampling: 'weighted' }, 'flatness(keep=0.5,stratified,sampling=weighted)'],
    [{ strategy: 'none', unit: 'token', sampling: 'weighted' }, 'none'],
  ])('%o is called %s', (parts, name) => {
    expect(ruleName(keepRule({ strategy: 'flatness', keep: 0.5, ...parts }))).toBe(name)
  })

  it.each([
    [{ strategy: 'flattest' }, /unknown selection strategy "flattest"/],
    [{ keep: 0 }, /keep is 0/],
    [{ keep: Number.NaN }, /keep is NaN/],
    [{ unit: 'word' }, /unit is "word"; known are window, sample, token/],
    [{ budget: 'bytes' }, /budget is "bytes"/],
    [{ sampling: 'best' }, /sampling is "best"/],
  ])('of %o is refused by name', (parts, problem) => {
    const whole = { strategy: 'flatness', keep: 0.5, ...parts }
    expect(() => keepRule(whole)).toThrow(RangeError)
    expect(() => keepRule(whole)).toThrow(problem)
  })
})

describe('a policy', () => {
  const plain = { strategy: 'flatness', keep: 0.5, closedFormWeight: 'uniform' }
  const bins = { effectiveTokens: [2], draftGap: [], weights: [0.5, 1.5] }

  it('holds its trials and bin weights', () => {
    const policy = selectionPolicy({
      ...plain,
      closedFormWeight: 'binned',
      binWeights: bins,
      trials: [{ strategy: 'random', keep: 0.5 }],
    })
    expect(policy.binWeights).toEqual(bins)
    expect(policy.trials.map(ruleName)).toEqual(['random(keep=0.5)'])
  })

  it.each([
    [{ closedFormWeight: 'heavy' }, /closed-form weight "heavy"; known are inverse-flatness, uniform, binned/],
    [{ closedFormWeight: 'binned' }, /binWeights is missing/],
    [{ closedFormWeight: 'binned', binWeights: { ...bins, weights: [1] } }, /binWeights.weights has 1 numbers for 2/],
    [{ closedFormWeight: 'binned', binWeights: { ...bins, weights: [1, -1] } }, /binWeights.weights\[1\] is -1/],
    [
      { closedFormWeight: 'binned', binWeights: { ...bins, weights: [1, Number.NaN] } },
      /binWeights.weights\[1\] is NaN/,
    ],
    [{ closedFormWeight: 'binned', binWeights: { ...bins, weights: [0, 0] } }, /binWeights.weights are all 0/],
    [{ closedFormWeight: 'binned', binWeights: { ...bins, effectiveTokens: [1] } }, /binWeights.effectiveTokens\[0\]/],
    [
      { closedFormWeight: 'binned', binWeights: { effectiveTokens: [3, 2], draftGap: [], weights: [1, 1, 1] } },
      /binWeights.effectiveTokens\[1\] is 2, not above 3/,
    ],
    [{ closedFormWeight: 'binned', binWeights: { ...bins, draftGap: [1] } }, /binWeights.draftGap\[0\] is 1/],
    [
      {
        trials: [
          { strategy: 'random', keep: 0.5 },
          { strategy: 'flattest', keep: 0.5 },
        ],
      },
      /trials\[1\]: .*"flattest"/,
    ],
    [{ trials: [{ strategy: 'flatness', keep: 2 }] }, /trials\[0\]: keep is 2/],
    [{ trials: [{ strategy: 'flatness', keep: 0.5, unit: 'token' }] }, /trials\[0\].unit is token/],
    [{ trials: Array.from({ length: 33 }, () => ({ strategy: 'random', keep: 0.5 })) }, /trials are 33, at most 32/],
  ])('of %o is refused by name', (parts, problem) => {
    expect(() => selectionPolicy({ ...plain, ...parts })).toThrow(RangeError)
    expect(() => selectionPolicy({ ...plain, ...parts })).toThrow(problem)
  })
})
