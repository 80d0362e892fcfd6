import type { Draft, DraftSession } from '@plateau/speculation'
import { silentLogger } from '@plateau/telemetry'
import { afterEach, expect, it } from 'vitest'
import { TargetLink } from '../target-link.js'
import { MarkovDraft } from '../testing/markov-draft.js'
import { startMarkovTarget, type MarkovTargetOptions } from '../testing/markov-target.js'
import { EquivalenceProbe } from './equivalence-probe.js'
import { LoadedDraft } from './loaded-draft.js'

const V = 200
const identity = { fingerprint: 'f', tokenizerHash: 't' }
const never = new AbortController().signal
const closers: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close()
})

async function setUp(options: Partial<MarkovTargetOptions> = {}) {
  const target = await startMarkovTarget({ vocabSize: V, ...identity, ...options })
  closers.push(() => target.stop())
  const common = { expected: identity, stallMs: 10_000, logger: silentLogger, onMismatch: () => {} }
  const link = new TargetLink({ address: target.address, ...common })
  link.start()
  closers.push(() => link.close())
  await expect.poll(() => link.whyNotReady()).toBeUndefined()
  let nowUs = 0
  const clockUs = () => (nowUs += 10)
  const probe = new EquivalenceProbe({ target: link, prompts: [[5, 9], [7]], promptFeatures: 3, clockUs })
  return { target, probe }
}

function loaded(draft: Draft): LoadedDraft {
  const of = { lineage: 'default', version: 3, name: '3', checkpoint: undefined }
  return new LoadedDraft(draft, of, { maxProposal: 4, onReleased: () => {} })
}

it('a draft, good or bad, does not change what is decoded, and break-even is known before the first request', async () => {
  const { probe, target } = await setUp()
  for (const wrongEvery of [5, 1]) {
    const version = loaded(new MarkovDraft('3', V, wrongEvery))
    expect(version.controller.snapshot().breakEvenAcceptance).toBeUndefined()
    expect(await probe.run(version, never)).toMatch(/^\d+ greedy tokens of 2 prompts are those of plain decoding$/)
    expect(version.controller.snapshot().breakEvenAcceptance).toBeGreaterThan(0)
    expect((version.draft as MarkovDraft).open_).toBe(0)
  }
  // Plain answers are asked for once.
  expect(target.opened).toHaveLength(6)
  expect(target.opened.every(({ capture }) => capture?.consent === false)).toBe(true)
})

it('a target that verifies wrongly is found out', async () => {
  // Accepts whatever is proposed, as a broken verification would.
  const { probe } = await setUp({ acceptsEverything: true })
  const version = loaded(new MarkovDraft('3', V, 1))
  await expect(probe.run(version, never)).rejects.toMatchObject({ code: 'PROBE_DIFFERS', facts: { version: 3 } })
})

it('a draft that fails fails the probe, and nothing stays open', async () => {
  const { probe, target } = await setUp()
  const broken: Draft = {
    version: '3',
    maxProposal: 4,
    open: () =>
      ({ propose: async () => Promise.reject(new Error('no')), adopt: () => {}, close: () => {} }) as DraftSession,
    release: async () => {},
  }
  await expect(probe.run(loaded(broken), never)).rejects.toThrow('no')
  await expect.poll(target.active).toBe(0)
})
