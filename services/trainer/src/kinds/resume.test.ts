import { MetricRegistry, silentLogger } from '@plateau/telemetry'
import { expect, test } from 'vitest'
import { declareTrainerMetrics } from '../metrics.js'
import { decodeSnapshot, encodeSnapshot } from '../snapshot.js'
import { acceptedWindow, defaults, Teacher, useKind } from '../testing.js'
import type { DraftKind, Learner, LearnerState } from './draft-kind.js'

const teacher = new Teacher()
const windows = Array.from({ length: 110 }, (_, offset) => acceptedWindow(teacher, offset))
const nothingUnseen = { unseen: [], calibration: [] }
const options = { ...defaults, gradients: true, replayPositions: 1500, draftVocabulary: 24 }
const start = {
  lineage: 'test',
  logger: silentLogger,
  metrics: declareTrainerMetrics(new MetricRegistry()),
  clock: () => 0,
  others: async () => [],
  forgotten: () => [],
  policy: undefined,
}

/** Through the bytes of a snapshot, with what does not concern the learner left empty. */
async function saved(learner: Learner<unknown>): Promise<LearnerState> {
  const facts = {
    kind: '',
    targetFingerprint: '',
    tokenizerHash: '',
    offsets: [],
    recentIds: {},
    windows: {},
    policy: '',
  }
  const forgotten = { nextOffset: 0, until: {} }
  const nothing = { heldOut: [], calibration: [], waiting: [], forgotten, owesVersion: false }
  const bytes = encodeSnapshot({ ...facts, ...nothing, learner: await learner.state() })
  return decodeSnapshot(bytes, 'test').learner
}

async function continued<Model>(kind: DraftKind<Model>, from: LearnerState): Promise<Learner<Model>> {
  const learner = await kind.open({
    ...start,
    incumbent: kind.initial(),
    first: async () => kind.initial(),
    saved: from,
  })
  for (const place of from.replay) learner.restore(windows[place.offset]!, place)
  return learner
}

const bytesOf = ({ tensors }: LearnerState) =>
  Object.fromEntries([...tensors].map(([name, { bytes }]) => [name, bytes]))

test.each(['feature-head', 'causal-lm'] as const)('a %s that was saved takes the identical next steps', (draft) =>
  useKind(teacher.model, { ...options, draft }, async (kind) => {
    const first = await kind.open({
      ...start,
      incumbent: kind.initial(),
      first: async () => kind.initial(),
      saved: undefined,
    })
    for (const window of windows.slice(0, 100)) await first.admit(window)
    await first.refresh([])
    for (let i = 0; i < 4; i++) await first.step(nothingUnseen)
    const second = await continued(kind, await saved(first))
    for (const learner of [first, second]) {
      for (const window of windows.slice(100)) await learner.admit(window)
      for (let i = 0; i < 3; i++) expect(await learner.step(nothingUnseen)).toMatchObject({ isTaken: true })
    }
    const [one, other] = [await saved(first), await saved(second)]
    expect(other.facts).toEqual(one.facts)
    expect(other.replay).toEqual(one.replay)
    expect(bytesOf(other)).toEqual(bytesOf(one))
    await first.release()
    await second.release()
  }),
)
