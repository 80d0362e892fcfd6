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
  threads: 1,
  executionProvider: 'cpu',
}

const pieces = Array.from({ length: 8 }, (_, i) => {
  const { rows } = acceptedWindow(teacher, i)
  return { rows, from: 0, to: rows.length }
})

async function step(changes: Partial<GradientOptions> = {}) {
  const stage = new GradientStage(solution, target, { ...plain, ...changes })
  const report = await stage.step(pieces)
  await stage.release()
  return report
}

test('rows of weight 0 are context only, and those that count do so by their weight', async () => {
  const [plainly, weighted] = await Promise.all(
    [undefined, Float32Array.from({ length: 24 }, (_, row) => (row % 4 === 0 ? 1 + (row % 3) : 0))].map(
      async (weights) => {
        const stage = new GradientStage(solution, target, plain)
        const report = await stage.step(pieces.map((piece) => (weights === undefined ? piece : { ...piece, weights })))
        await stage.release()
        return report
      },
    ),
  )
  expect(plainly).toMatchObject({ positions: 8 * 24, applied: true })
  expect(weighted).toMatchObject({ positions: 8 * 6, applied: true })
  expect(Math.abs(weighted!.loss - plainly!.loss)).toBeGreaterThan(1e-4)
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
  const ordinary = new GradientStage(first, target, plain)
  expect(projectionOf(ordinary)).toEqual(featureHeadParameter(first, 'fc.weight'))
  ordinary.rebase(second)
  expect(projectionOf(ordinary)[5]).toBeCloseTo(featureHeadParameter(second, 'fc.weight')[5]!, 6)

  const begun = new GradientStage(first, target, plain, warm)
  begun.rebase(second)
  expect(projectionOf(begun)).toEqual(featureHeadParameter(warm, 'fc.weight'))
  const continued = new GradientStage(second, target, plain)
  continued.load(begun.state)
  continued.rebase(first)
  expect(projectionOf(continued)).toEqual(featureHeadParameter(warm, 'fc.weight'))
  continued.restart(first)
  continued.rebase(second)
  expect(projectionOf(continued)[5]).toBeCloseTo(featureHeadParameter(second, 'fc.weight')[5]!, 6)
  for (const stage of [ordinary, begun, continued]) await stage.release()
})
