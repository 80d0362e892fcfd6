import type { DraftSession, DraftStart, SparseDistribution } from '@plateau/speculation'
import { expect, it } from 'vitest'
import { LoadedDraft } from './loaded-draft.js'
import { PairedSessions } from './paired-sessions.js'

const q = (id: number): SparseDistribution => ({ ids: [id, id + 1], probs: [0.75, 0.25] })

/** Expects the token after the last one it has seen; says nothing after token 9, fails after token 13. */
function loaded(version: number, offset: number) {
  const seen: number[] = []
  let open = 0
  const session = (): DraftSession => ({
    propose: async (count, sampling) => {
      expect([count, sampling.temperature]).toEqual([1, 0])
      const last = seen.at(-1)!
      if (last === 13) throw new Error('it has no memory left')
      return last === 9 ? { tokens: [], q: [], rawQ: [] } : { tokens: [1], q: [], rawQ: [q(last + offset)] }
    },
    adopt: (tokens) => void seen.push(...tokens),
    close: () => void open--,
  })
  const draft = {
    version: String(version),
    maxProposal: 4,
    open: ({ tokens }: DraftStart) => {
      seen.push(...tokens)
      open++
      return session()
    },
    release: async () => {},
  }
  const identity = { lineage: 'default', version, name: String(version), checkpoint: undefined }
  return {
    lease: new LoadedDraft(draft, identity, { maxProposal: 4, onReleased: () => {} }).lease(),
    open: () => open,
  }
}

function pair(withIncumbent = true) {
  const [candidate, incumbent] = [loaded(2, 10), loaded(1, 20)]
  const recorded: [number, number][] = []
  const failed: number[] = []
  const sessions = new PairedSessions(
    {
      candidate: candidate.lease,
      incumbent: withIncumbent ? incumbent.lease : undefined,
      stage: 'trial',
      record: (ours, theirs) => void recorded.push([ours, theirs]),
    },
    (failing) => void failed.push(failing.version),
  )
  sessions.open({ tokens: [3, 5], features: new Float32Array(2) })
  return { sessions, recorded, failed, open: () => candidate.open() + incumbent.open() }
}

it('both say what they expect at the same position, every second round, from what was emitted', async () => {
  const { sessions, recorded } = pair()
  expect(await sessions.rows()).toMatchObject({ positions: 2, k: 2, ids: [15, 16, 25, 26] })
  sessions.judged([0.5, 0.25])
  sessions.adopt([6, 7], new Float32Array(2))
  expect(await sessions.rows()).toBeUndefined()
  sessions.judged([])
  sessions.adopt([8], new Float32Array(1))
  expect(await sessions.rows()).toMatchObject({ ids: [18, 19, 28, 29] })
  expect(recorded).toEqual([[0.5, 0.25]])
})

it('against no draft everything counts', async () => {
  const { sessions, recorded } = pair(false)
  expect(await sessions.rows()).toMatchObject({ positions: 1, ids: [15, 16] })
  sessions.judged([0.5])
  expect(recorded).toEqual([[0.5, 0]])
})

it('two that have no opinion are even, and the target is not asked', async () => {
  const { sessions, recorded } = pair()
  sessions.adopt([9], new Float32Array(1))
  expect(await sessions.rows()).toBeUndefined()
  expect(recorded).toEqual([[0, 0]])
})

it('one that fails ends the comparison, not the response, and is named', async () => {
  const { sessions, recorded, failed, open } = pair()
  expect(open()).toBe(2)
  sessions.adopt([13], new Float32Array(1))
  expect(await sessions.rows()).toBeUndefined()
  expect(failed).toEqual([2])
  expect(open()).toBe(0)
  expect(await sessions.rows()).toBeUndefined()
  sessions.adopt([14], new Float32Array(1))
  sessions.close()
  expect(recorded).toEqual([])
})
