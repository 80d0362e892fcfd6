import { describe, expect, it } from 'vitest'
import { assertMove, mayMove, type RolloutPhase } from './rollout-phases.js'

const phases: readonly RolloutPhase[] = [
  'announced',
  'verified',
  'shadow',
  'canary',
  'live',
  'confirmed',
  'replaced',
  'rejected',
  'rolled-back',
]
const to = (from: RolloutPhase): RolloutPhase[] => phases.filter((phase) => mayMove(from, phase))
const from = (phase: RolloutPhase): RolloutPhase[] => phases.filter((other) => mayMove(other, phase))

describe('the phases of a version', () => {
  it('lead to traffic step by step', () => {
    const way: readonly RolloutPhase[] = ['announced', 'verified', 'shadow', 'canary', 'live', 'confirmed', 'replaced']
    for (let i = 1; i < way.length; i++) expect(() => assertMove(way[i - 1]!, way[i]!)).not.toThrow()
  })

  it('an operator may promote what is verified, and only that', () => {
    expect(from('live')).toEqual(['verified', 'shadow', 'canary', 'replaced'])
    expect(() => assertMove('announced', 'live')).toThrow('a version that is announced cannot become live')
  })

  it('what never was live is rejected, what was is rolled back, and both are for good', () => {
    expect(from('rejected')).toEqual(['announced', 'verified', 'shadow', 'canary'])
    expect(from('rolled-back')).toEqual(['live', 'confirmed', 'replaced'])
    expect([...to('rejected'), ...to('rolled-back')]).toEqual([])
  })

  it('nothing becomes what it is', () => {
    for (const phase of phases) expect(() => assertMove(phase, phase)).toThrow(RangeError)
  })
})
