import { describe, expect, it } from 'vitest'
import { standardTrial, type TrialOptions } from './trial-options.js'
import { VersionTrial, type Move } from './version-trial.js'

const anyone = { tenant: '', domain: '' }

function trialIn(
  phase: 'shadow' | 'canary' | 'live',
  options: Partial<TrialOptions> = {},
  incumbent = 4,
): VersionTrial {
  const trial = new VersionTrial({ ...standardTrial, ...options }, incumbent)
  const way = ['shadow', 'canary', 'live'] as const
  for (const one of way.slice(0, way.indexOf(phase) + 1)) trial.begin(one, 0)
  return trial
}

/** `responses` of 64 positions, at which the version's alpha is `value` and the incumbent's `other`, give or take. */
function pairs(trial: VersionTrial, kind: 'live' | 'windows', value: number, other: number, responses: number): void {
  for (let i = 0; i < 64 * responses; i++) {
    const [off, labels] = [i % 2 === 0 ? 0.05 : -0.05, { ...anyone, sampleId: `${kind} ${Math.floor(i / 64)}` }]
    if (kind === 'live') trial.observeLivePair(value + off, other, labels)
    else trial.observeWindowPair(value + off, other, labels)
  }
}

function requests(trial: VersionTrial, arm: 'candidate' | 'incumbent', accepted: number, count: number): void {
  for (let i = 0; i < count; i++) trial.observeResponse(arm, accepted, 40, anyone)
}

/** Enough responses of either version, of so many accepted of 40. */
function bothAnswer(trial: VersionTrial, accepted: number): void {
  for (const arm of ['candidate', 'incumbent'] as const) requests(trial, arm, accepted, 30)
}

/** Decisions after each of 64 positions' worth of pairs, until there is one. */
function untilMove(
  trial: VersionTrial,
  value: number,
  other: number,
  most: number,
): Move & { readonly responses: number } {
  for (let i = 1; i <= most; i++) {
    pairs(trial, 'live', value, other, 1)
    const move = trial.decide(0)
    if (move !== undefined) return { ...move, responses: i }
  }
  throw new Error(`nothing was decided on ${most} responses`)
}

describe('in the shadow', () => {
  it('a version goes to the canary after its positions, or its time', () => {
    const busy = trialIn('shadow')
    pairs(busy, 'live', 0.6, 0.6, 1)
    expect(busy.decide(29_999)).toBeUndefined()
    pairs(busy, 'live', 0.6, 0.6, 1)
    expect(busy.decide(29_999)).toMatchObject({
      to: 'canary',
      evidence: [{ comparison: 'live-pairs', positions: 128 }],
    })
    expect(trialIn('shadow').decide(30_000)).toMatchObject({ to: 'canary', evidence: [] })
  })

  it('one that is worse is rejected by held-out windows as soon as live positions agree, or where there are none', () => {
    const agreeing = trialIn('shadow')
    pairs(agreeing, 'windows', 0.2, 0.6, 3)
    expect(agreeing.decide(0)).toBeUndefined()
    for (let i = 0; i < 32; i++) agreeing.observeLivePair(0.5 + (i % 2) / 100, 0.6, anyone)
    expect(agreeing.decide(0)).toMatchObject({ to: 'rejected', reason: expect.stringContaining('held-out windows') })
    const byPairs = trialIn('shadow', { shadowPositions: 1_000 })
    pairs(byPairs, 'windows', 0.6, 0.6, 2)
    const { evidence } = untilMove(byPairs, 0.2, 0.6, 4)
    expect(evidence.map(({ comparison }) => comparison)).toEqual(['live-pairs', 'windows'])
    const alone = trialIn('shadow')
    pairs(alone, 'windows', 0.2, 0.6, 3)
    expect(alone.decide(30_000)).toMatchObject({ to: 'rejected', evidence: [{ comparison: 'windows' }] })
  })

  it('one that follows a shift is not held to windows of before', () => {
    const trial = trialIn('shadow')
    pairs(trial, 'windows', 0.2, 0.6, 3)
    pairs(trial, 'live', 0.6, 0.2, 2)
    expect(trial.decide(0)).toMatchObject({ to: 'canary' })
  })

  it('one that is worse at live positions is rejected at once', () => {
    const byTraffic = trialIn('shadow', { shadowPositions: 1_000 })
    expect(untilMove(byTraffic, 0.2, 0.6, 4).to).toBe('rejected')
    expect(byTraffic.phase).toBe('rejected')
    expect(byTraffic.decide(1e9)).toBeUndefined()
    expect(() => byTraffic.begin('canary', 0)).toThrow(RangeError)
  })
})

describe('in the canary', () => {
  it('a version goes live as soon as it is shown not to be worse', () => {
    const { to, responses, reason } = untilMove(trialIn('canary'), 0.6, 0.6, 40)
    expect(to).toBe('live')
    expect(responses).toBeLessThan(20)
    expect(reason).toMatch(/^not worse than version 4: alpha 0.600 against 0.600 over \d+ live positions/)
  })

  it('one that is worse by positions or by acceptance is rejected', () => {
    expect(untilMove(trialIn('canary'), 0.5, 0.6, 40).to).toBe('rejected')
    const trial = trialIn('canary')
    requests(trial, 'candidate', 10, 60)
    requests(trial, 'incumbent', 28, 60)
    const move = trial.decide(0)
    expect(move).toMatchObject({ to: 'rejected', evidence: [{ comparison: 'live-acceptance', requests: 60 }] })
    expect(move?.reason).toContain('worse than version 4: acceptance 0.250 against 0.700 over 2400 live proposals')
  })

  it('that ends undecided rejects what is probably worse and lets the rest go live', () => {
    for (const end of [
      (trial: VersionTrial) => trial.decide(30_000),
      (trial: VersionTrial) => {
        requests(trial, 'candidate', 24, 200)
        return trial.decide(0)
      },
    ]) {
      const [worse, alike] = [trialIn('canary'), trialIn('canary')]
      pairs(worse, 'live', 0.5, 0.6, 2)
      pairs(alike, 'live', 0.59, 0.6, 2)
      expect(worse.decide(29_999)).toBeUndefined()
      expect(alike.decide(29_999)).toBeUndefined()
      expect(end(worse)).toMatchObject({ to: 'rejected' })
      expect(end(alike)).toMatchObject({ to: 'live' })
    }
  })

  it('without traffic the held-out windows stand alone, and the reason says so', () => {
    const [worse, alike, nothing] = [trialIn('canary'), trialIn('canary'), trialIn('canary')]
    pairs(worse, 'windows', 0.5, 0.6, 2)
    pairs(alike, 'windows', 0.6, 0.6, 2)
    expect(worse.decide(30_000)).toMatchObject({ to: 'rejected' })
    const move = alike.decide(30_000)
    expect(move).toMatchObject({ to: 'live', evidence: [{ comparison: 'windows', positions: 128 }] })
    expect(move?.reason).toContain('nothing live was compared and the held-out windows stand alone')
    expect(nothing.decide(30_000)?.reason).toBe(
      'the canary ended undecided after 0 requests, with too little to compare ' +
        '(0 live positions and 0 positions of held-out windows)',
    )
  })

  it('requests that the incumbent answered before it are not compared', () => {
    const trial = trialIn('shadow')
    requests(trial, 'incumbent', 40, 100)
    trial.begin('canary', 0)
    requests(trial, 'candidate', 10, 60)
    expect(trial.decide(0)).toBeUndefined()
  })
})

describe('live', () => {
  it('a version is confirmed once, when it is shown not to be worse', () => {
    const trial = trialIn('live')
    expect(trial.decide(1e9)).toBeUndefined()
    bothAnswer(trial, 24)
    expect(untilMove(trial, 0.6, 0.6, 40).to).toBe('confirmed')
    pairs(trial, 'live', 0.6, 0.6, 40)
    expect(trial.decide(1e9)).toBeUndefined()
    expect(trial.phase).toBe('confirmed')
  })

  it('what the canary had shown confirms it as soon as enough requests were answered beside the other version', () => {
    const trial = trialIn('canary')
    untilMove(trial, 0.6, 0.6, 40)
    trial.begin('live', 0)
    expect(trial.decide(0)).toBeUndefined()
    bothAnswer(trial, 24)
    expect(trial.decide(0)).toMatchObject({ to: 'confirmed', evidence: [{ comparison: 'live-pairs' }, {}] })
    expect(trial.evidence()).toMatchObject([{ comparison: 'live-acceptance' }])
  })

  it('one that was shown not to be worse in an epoch is confirmed on that evidence when it is proven in the next', () => {
    const trial = trialIn('live')
    pairs(trial, 'live', 0.6, 0.6, 32)
    // The epoch is over; no pair has come since.
    expect(trial.decide(0)).toBeUndefined()
    bothAnswer(trial, 28)
    const move = trial.decide(0)
    expect(move).toMatchObject({ to: 'confirmed', evidence: [{ comparison: 'live-pairs', positions: 2048 }, {}] })
    expect(move?.reason).toContain('over 2048 live positions')
  })

  it('one whose pairs are as good as ever and whose proposals fail is never confirmed', () => {
    const trial = trialIn('live')
    pairs(trial, 'live', 0.6, 0.6, 40)
    for (let i = 0; i < 200; i++) {
      requests(trial, 'candidate', 8, 4)
      requests(trial, 'incumbent', 24, 1)
      const move = trial.decide(0)
      if (move === undefined) continue
      expect(move).toMatchObject({ to: 'rolled-back', reason: expect.stringContaining('proposals') })
      expect(i).toBeLessThan(30)
      return
    }
    expect.fail('it stayed')
  })

  it('one that becomes worse is rolled back, however long it was good', () => {
    const trial = trialIn('live')
    for (let i = 0; i < 1_000; i++) {
      pairs(trial, 'live', 0.65, 0.6, 1)
      trial.decide(0)
    }
    const { to, responses, evidence } = untilMove(trial, 0.4, 0.6, 60)
    expect(to).toBe('rolled-back')
    expect(64 * responses).toBeLessThan(standardTrial.watchPositions + 640)
    expect(evidence[0]!.errorRate).toBeLessThan(1e-4)
  })

  it('is rolled back by acceptance as well', () => {
    const trial = trialIn('live')
    requests(trial, 'candidate', 10, 40)
    requests(trial, 'incumbent', 28, 40)
    expect(trial.decide(0)).toMatchObject({ to: 'rolled-back' })
  })

  it('an operator may bring it there from anywhere before', () => {
    const trial = new VersionTrial(standardTrial, 4)
    trial.begin('live', 0)
    expect(untilMove(trial, 0.3, 0.6, 20).to).toBe('rolled-back')
    expect(() => new VersionTrial(standardTrial, 4).begin('canary', 0)).toThrow(RangeError)
  })
})

describe('where nothing is live', () => {
  it('a useful draft goes live within a few responses', () => {
    expect(untilMove(trialIn('canary', {}, 0), 0.5, 0, 4)).toMatchObject({ to: 'live' })
  })

  it('one that knows nothing does not, with and without traffic', () => {
    const busy = trialIn('canary', {}, 0)
    for (let i = 0; i < 400; i++) busy.observeLivePair(0.01, 0, anyone)
    expect(busy.decide(0)).toMatchObject({ to: 'rejected' })
    expect(busy.phase).toBe('rejected')
    const idle = trialIn('canary', {}, 0)
    for (let i = 0; i < 130; i++) idle.observeWindowPair(0.01, 0, anyone)
    const move = idle.decide(30_000)
    expect(move?.to).toBe('rejected')
    expect(move?.reason).toContain('where 0.100 is the least')
  })
})

it('evidence says how long proposals are accepted, how sure that is, and of whose traffic it is', () => {
  const trial = trialIn('shadow')
  for (let i = 0; i < 100; i++) trial.observeLivePair(0.5, 0.4, { tenant: i < 70 ? 'a' : 'b', domain: 'code' })
  const [evidence] = trial.evidence()
  expect(evidence).toMatchObject({ comparison: 'live-pairs', positions: 100, margin: 0.03, requests: 0 })
  expect(evidence!.acceptanceLength).toBeCloseTo((1 - 0.5 ** 6) / 0.5, 9)
  expect(evidence!.otherAcceptanceLength).toBeCloseTo((1 - 0.4 ** 6) / 0.6, 9)
  expect(evidence!.low).toBeLessThan(0.1)
  expect(evidence!.high).toBeGreaterThan(0.1)
  // A quarter of .01 and all of .05, of which the first epoch has 6 / pi^2.
  expect(evidence!.errorRate).toBeCloseTo((0.01 / 4 + 0.05) * (6 / Math.PI ** 2), 9)
  expect(evidence!.slices.map(({ label, name, positions }) => [label, name, positions])).toEqual([
    ['domain', 'code', 100],
    ['tenant', 'a', 70],
    ['tenant', 'b', 30],
  ])
})
