import { expect, it } from 'vitest'
import { DraftHolder } from './draft-holder.js'
import { MarkovDraft } from './testing/markov-draft.js'

const draft = (version: number) => new MarkovDraft(String(version), 32)

it('a request keeps the version it began with; the old one is released with its last lease', async () => {
  const holder = new DraftHolder({ maxProposal: 4 })
  expect(holder.lease()).toBeUndefined()
  const [one, two] = [draft(1), draft(2)]
  holder.swap(one, 1)
  const [early, alsoEarly] = [holder.lease()!, holder.lease()!]
  holder.swap(two, 2)
  const late = holder.lease()!
  expect([early.draft, late.draft]).toEqual([one, two])
  expect(early.controller).not.toBe(late.controller)
  early.release()
  early.release()
  expect(one.released).toBe(false)
  alsoEarly.release()
  expect(one.released).toBe(true)
  late.release()
  expect(two.released).toBe(false)
  expect([holder.liveVersion, holder.swaps]).toEqual([2, 2])
})

it('a version that nobody uses is released at the swap, the live one at close', async () => {
  const released: number[] = []
  const holder = new DraftHolder({ maxProposal: 4, onReleased: (version) => released.push(version) })
  holder.swap(draft(1), 1)
  holder.swap(draft(2), 2)
  await holder.close()
  expect(released).toEqual([1, 2])
  expect(holder.lease()).toBeUndefined()
})

it('a release that fails is reported and does not stop the close', async () => {
  const seen: unknown[] = []
  const holder = new DraftHolder({ maxProposal: 4, onReleased: (_, error) => seen.push(error) })
  const broken = draft(1)
  broken.open_ = 1
  holder.swap(broken, 1)
  await holder.close()
  expect(String(seen[0])).toContain('released with 1 sessions open')
})
