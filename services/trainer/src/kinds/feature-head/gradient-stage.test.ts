import { featureHeadParameter, initialFeatureHead, type FeatureHead } from '@plateau/causal-lm'
import { prepareDraftTarget } from '@plateau/inference'
import { seededRandom } from '@plateau/speculation'
import { expect, test } from 'vitest'
import { acceptedWindow, Teacher } from '../../testing.js'
import { GradientStage, type GradientOptions } from './gradient-stage.js'

const teacher = new Teacher()
const { hiddenSize, vocabSize, rmsNormEps } = teacher.model.config
const config = { hiddenSize, vocabSize, rmsNormEps, bilinearFeatures: 0, layer: undefined }
const solution = initialFeatureHead(config, teacher.model.target, seededRandom(1))
const target = prepareDraftTarget(teacher.model.target, config)
const plain: GradientOptions = {
  loss: 'tv',
  learningRate: 1e-3,
  unrollSteps: 1,
  positionShare: 1,
  threads: 1,
  executionProvider: 'cpu',
}

const pieces = Array.from({ length: 8 }, (_, i) => {
  const weights = Array.from({ length: 24 }, (__, position) => (position % 4 === 0 ? 4 : 0.5))
  const { rows } = acceptedWindow(teacher, i, { weights })
  return { rows, from: 0, to: rows.length }
})

async function step(changes: Partial<GradientOptions> = {}) {
  const stage = await GradientStage.open(solution, target, { ...plain, ...changes })
  const report = await stage.step(pieces)
  await stage.release()
  return report
}

test('a share of the positions counts: those of the largest weight', async () => {
  const [all, some] = [await step(), await step({ positionShare: 48 / 512 })]
  expect(all).toMatchObject({ positions: 8 * 24, applied: true })
  expect(some).toMatchObject({ positions: 8 * 6, applied: true })
  const heavyOnly = pieces.map((piece) => ({
    ...piece,
    weights: piece.rows.weights.map((weight) => (weight > 1 ? 1 : 0)),
  }))
  const stage = await GradientStage.open(solution, target, plain)
  expect(some.loss).toBeCloseTo((await stage.step(heavyOnly)).loss, 5)
  await stage.release()
})

test.each([
  ['another loss', { loss: 'kl' }],
  ['the hybrid loss', { loss: 'lk-hybrid' }],
  ['steps over its own states', { unrollSteps: 2 }],
] as const)('%s is trained on', async (_, changes) => {
  const [ordinary, changed] = [await step(), await step(changes)]
  expect(changed.applied).toBe(true)
  expect(Math.abs(changed.loss - ordinary.loss)).toBeGreaterThan(1e-4)
})

const projectionOf = (stage: GradientStage): Float32Array => featureHeadParameter(stage.head, 'fc.weight')
const solutionOf = (seed: number): FeatureHead => initialFeatureHead(config, teacher.model.target, seededRandom(seed))

test('it moves with the closed form, but for one that began warm, until that begins again', async () => {
  const [first, second, warm] = [solution, solutionOf(2), solutionOf(3)]
  const ordinary = await GradientStage.open(first, target, plain)
  expect(projectionOf(ordinary)).toEqual(featureHeadParameter(first, 'fc.weight'))
  ordinary.rebase(second)
  expect(projectionOf(ordinary)[5]).toBeCloseTo(featureHeadParameter(second, 'fc.weight')[5]!, 6)

  const begun = await GradientStage.open(first, target, plain, warm)
  begun.rebase(second)
  expect(projectionOf(begun)).toEqual(featureHeadParameter(warm, 'fc.weight'))
  const continued = await GradientStage.open(second, target, plain)
  continued.load(begun.state)
  continued.rebase(first)
  expect(projectionOf(continued)).toEqual(featureHeadParameter(warm, 'fc.weight'))
  continued.restart(first)
  continued.rebase(second)
  expect(projectionOf(continued)[5]).toBeCloseTo(featureHeadParameter(second, 'fc.weight')[5]!, 6)
  for (const stage of [ordinary, begun, continued]) await stage.release()
})
