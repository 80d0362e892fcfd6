import { join } from 'node:path'
import { Arm, FloatFormat, packTopK, TokenWindow, TrainingWindow } from '@plateau/contracts'
import type { DraftTargetModel } from '@plateau/model-files'
import { expect, test } from 'vitest'
import { temporaryDirectory } from '../testing/temporary-log.js'
import { causalLmPlan } from './causal-lm-plan.js'
import { partOf } from './split.js'
import { trainDraft } from './train-draft.js'
import { WindowStore } from './window-store.js'

const vocabSize = 24
const target = {
  fingerprint: 'f'.repeat(64),
  tokenizerHash: 'a'.repeat(64),
  config: { vocabSize, bosTokenId: undefined, eosTokenIds: [] },
} as unknown as DraftTargetModel

/** The target gives half of its probability to the token itself, a quarter to the one before. */
function windowOf(sampleId: string, tokens: readonly number[], arm = Arm.ARM_SELECTED): TrainingWindow {
  const each = (value: number) => tokens.map(() => value)
  const window = TokenWindow.fromPartial({
    provenance: { schemaVersion: 1, targetFingerprint: target.fingerprint, tokenizerHash: target.tokenizerHash },
    sampleId,
    vocabSize,
    tokenIds: [...tokens],
    hasLead: true,
    leadTokenId: 0,
    top: packTopK(
      tokens.flatMap((token) => [token, (token + vocabSize - 1) % vocabSize]),
      tokens.flatMap(() => [0.5, 0.25]),
      2,
      FloatFormat.FLOAT_FORMAT_FP32,
    ),
    tailMass: each(0.25),
    entropy: each(1),
  })
  return TrainingWindow.fromPartial({ window, weights: each(1), arm })
}

const tokensFrom = (first: number, count: number, length = 128) => Array.from({ length }, (_, i) => first + (i % count))

const toTrainOn = (prefix: string, count: number, make: (sampleId: string) => TrainingWindow): TrainingWindow[] =>
  Array.from({ length: 100 }, (_, i) => make(`${prefix}${i}`))
    .filter((window) => partOf(window) === 'training')
    .slice(0, count)

async function train(out: string, windows: readonly TrainingWindow[], gradientPositions = 0) {
  const store = await WindowStore.open(join(out, 'work', 'windows'))
  for (const window of windows) await store.add(window)
  await store.flush()
  const plan = causalLmPlan(target, { hiddenSize: 16, layers: 1, threads: 1, seed: 1 })
  const progress = { say: () => undefined, at: () => undefined }
  const options = { vocabulary: 8, hiddenSize: 0, targetVocabSize: vocabSize, learningRate: 0.01, threads: 1, seed: 1 }
  const { signal } = new AbortController()
  try {
    return await trainDraft(plan, store, { ...options, out, gradientPositions, loss: 'kl', signal }, progress)
  } finally {
    await plan.release()
  }
}

test('a recording of which everything is held out is refused', async () => {
  const held = ['a', 'b'].map((sampleId) => windowOf(sampleId, tokensFrom(1, 4), Arm.ARM_EVALUATION))
  await expect(train(temporaryDirectory(), held, 512)).rejects.toMatchObject({ code: 'NO_TRAINING_WINDOWS' })
})

test('what gradients made is taken where nothing was kept apart to compare it with the beginning', async () => {
  const windows = toTrainOn('s', 4, (sampleId) => windowOf(sampleId, tokensFrom(1, 4)))
  expect((await train(temporaryDirectory(), windows, 1024))!.stage).toBe('gradients')
})

test('a draft without a closed form and without gradients is called untrained', async () => {
  const windows = toTrainOn('s', 1, (sampleId) => windowOf(sampleId, tokensFrom(1, 4)))
  expect((await train(temporaryDirectory(), windows))!.stage).toBe('untrained')
})

test('a run that goes on with more windows keeps the vocabulary that it began with', async () => {
  const out = temporaryDirectory()
  const vocabularyOf = async (windows: readonly TrainingWindow[]) =>
    ((await train(out, windows))!.model as { config: { draftVocabulary: Int32Array } }).config.draftVocabulary
  const first = await vocabularyOf(toTrainOn('s', 1, (sampleId) => windowOf(sampleId, tokensFrom(1, 7))))
  expect([...first]).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
  const later = await vocabularyOf(toTrainOn('later', 4, (sampleId) => windowOf(sampleId, tokensFrom(12, 7))))
  expect(later).toEqual(first)
})
