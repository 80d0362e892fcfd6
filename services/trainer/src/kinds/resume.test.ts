import { MetricRegistry, silentLogger } from '@plateau/telemetry'
import { expect, test } from 'vitest'
import { declareTrainerMetrics } from '../metrics.js'
import { decodeSnapshot, encodeSnapshot } from '../snapshot.js'
import { acceptedWindow, defaults, Teacher, useKind } from '../testing.js'
import type { DraftKind, Learner, LearnerState } from './draft-kind.js'
import { LEARNED_FROM_NOBODY } from './learned-from.js'

const teacher = new Teacher()
const windows = Array.from({ length: 320 }, (_, offset) =>
  acceptedWindow(teacher, offset, {
    keptBy: [offset % 2 === 0 ? 'flatness(keep=0.5,stratified)' : 'random(keep=0.5,stratified)'],
  }),
)
const unseen = Array.from({ length: 6 }, (_, i) => acceptedWindow(teacher, 1000 + i).rows)
const compared = { unseen, calibration: [] }
const options = { ...defaults, gradients: true, replayPositions: 8000, draftVocabulary: 24, weightBins: 'off' as const }
const start = {
  lineage: 'test',
  logger: silentLogger,
  metrics: declareTrainerMetrics(new MetricRegistry()),
  clock: () => 0,
  others: async () => [],
  forgotten: () => [],
  policy: { closedForm: () => {}, gradients: () => {} },
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
    first: async () => ({ model: kind.initial(), ...LEARNED_FROM_NOBODY }),
    incumbentFrom: LEARNED_FROM_NOBODY,
    saved: from,
  })
  for (const place of from.replay) learner.restore(windows[place.offset]!, place)
  return learner
}

const bytesOf = ({ tensors }: LearnerState) =>
  Object.fromEntries([...tensors].map(([name, { bytes }]) => [name, bytes]))

const noTrials = { trialStrategies: [], steps: 4, turns: {} }
/** The save falls into the second turn; a third has begun at the end. */
const inATurn = {
  trialStrategies: ['flatness'],
  steps: 100 + 25 + 15,
  turns: { trials: { turns: 3, turn: { steps: 2 } } },
}

test.each([
  ['feature-head', '', noTrials],
  ['causal-lm', '', noTrials],
  ['feature-head', ' in the middle of the turn of a keep rule', inATurn],
  ['causal-lm', ' in the middle of the turn of a keep rule', inATurn],
] as const)('a %s that was saved%s takes the identical next steps', (draft, _, { steps, trialStrategies, turns }) =>
  useKind(teacher.model, { ...options, draft, trialStrategies }, async (kind) => {
    const first = await kind.open({
      ...start,
      incumbent: kind.initial(),
      first: async () => ({ model: kind.initial(), ...LEARNED_FROM_NOBODY }),
      incumbentFrom: LEARNED_FROM_NOBODY,
      saved: undefined,
    })
    for (const window of windows.slice(0, 300)) await first.admit(window)
    await first.refresh([])
    for (let i = 0; i < steps; i++) await first.step(compared)
    const second = await continued(kind, await saved(first))
    for (const learner of [first, second]) {
      for (const window of windows.slice(300)) await learner.admit(window)
      for (let i = 0; i < 12; i++) expect(await learner.step(compared)).toMatchObject({ isTaken: true })
    }
    const [one, other] = [await saved(first), await saved(second)]
    expect(one.facts).toMatchObject({ turns })
    expect([...one.tensors.keys()].some((name) => name.startsWith('turn/'))).toBe('trials' in turns)
    expect(other.facts).toEqual(one.facts)
    expect(other.replay).toEqual(one.replay)
    expect(bytesOf(other)).toEqual(bytesOf(one))
    await first.release()
    await second.release()
  }),
)
