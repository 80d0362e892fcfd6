import { initialFeatureHead, type FeatureHeadConfig } from '@plateau/causal-lm'
import { prepareDraftTarget } from '@plateau/inference'
import { seededRandom } from '@plateau/speculation'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { positionsOf, type SelectionWindow } from './dataset.js'
import type { SteppedArm } from './gradient-arms.js'
import { ResultsFile, type ResultsHeader } from './results-file.js'
import { armName, runSteppedArm } from './stepped-experiment.js'
import { runStepped } from './stepped-run.js'
import { featureHeadSteps } from './steps/feature-head-steps.js'

const H = 8
const V = 40
const random = seededRandom(3)
const normal = (): number => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
const floats = (n: number, draw: () => number): Float32Array => Float32Array.from({ length: n }, draw)

/** What follows a token can be learned from it. */
function window(i: number): SelectionWindow {
  const n = 50 + 13 * (i % 7)
  const k = 4
  const tokens = Int32Array.from({ length: n }, () => Math.floor(V * random()))
  const sampleId = `sample ${i}`
  const domain = i % 2 === 0 ? 'chat' : 'code'
  const names = ['flatness', 'entropy', 'top1', 'margin', 'energy', 'tokenLogProb'] as const
  const ofDraft = ['draftOverlap', 'draftGain', 'draftEntropy'] as const
  const arrays = Object.fromEntries([...names, ...ofDraft].map((name) => [name, floats(n, random)]))
  return {
    domain,
    sampleId,
    rows: {
      length: n,
      tokens,
      features: floats(n * H, normal),
      nextFeatures: floats(n * H, normal),
      listed: k,
      listedIds: Int32Array.from({ length: n * k }, (_, at) => (tokens[Math.floor(at / k)]! + 11 * (at % k)) % V),
      listedProbs: Float32Array.from({ length: n * k }, (_, at) => [0.5, 0.2, 0.1, 0.05][at % k]!),
      weights: new Float32Array(n).fill(1),
    },
    statistics: {
      ...(arrays as Record<(typeof names)[number] | (typeof ofDraft)[number], Float32Array>),
      vocabSize: V,
      perplexity: 2,
      lot: random(),
      sampleId,
      domain,
    },
  }
}

const windows = Array.from({ length: 60 }, (_, i) => window(i))
const dataset = {
  name: 'demo',
  training: windows.slice(0, 40),
  calibration: windows.slice(40, 48),
  heldOut: windows.slice(48),
} as const
const config: FeatureHeadConfig = {
  hiddenSize: H,
  vocabSize: V,
  bilinearFeatures: 0,
  rmsNormEps: 1e-5,
  layer: undefined,
}
const bare = { embeddings: floats(V * H, normal), head: floats(V * H, normal), norm: new Float32Array(H).fill(1) }
const draft = featureHeadSteps(initialFeatureHead(config, bare, random), prepareDraftTarget(bare, config), 1)
const folder = await mkdtemp(join(tmpdir(), 'plateau-stepped-'))
afterAll(async () => {
  await draft.release()
  await rm(folder, { recursive: true })
})

let seconds = 0
const experiment = { experiment: 'gradients', draft, dataset, steps: 50, cpu: () => (seconds += 1) } as const
const arm = (parts: Partial<SteppedArm>): SteppedArm => {
  return { selector: 'random', unit: 'sample', keep: 0.5, seed: 1, matched: 'steps', loss: 'kl', ...parts }
}
const RATE = 1e-2

describe('arms that train step by step', () => {
  test('the same seed gives the same numbers, another seed others', async () => {
    for (const selector of ['random', 'learned']) {
      const once = await runSteppedArm(experiment, arm({ selector }), RATE)
      const { alpha, windowAlpha, positions, curve } = await runSteppedArm(experiment, arm({ selector }), RATE)
      expect({ alpha, windowAlpha, positions }).toEqual({
        alpha: once.alpha,
        windowAlpha: once.windowAlpha,
        positions: once.positions,
      })
      expect(curve?.map((point) => point.alpha)).toEqual(once.curve?.map((point) => point.alpha))
      expect((await runSteppedArm(experiment, arm({ selector, seed: 2 }), RATE)).alpha).not.toBe(alpha)
    }
  })

  test('training raises alpha over the common start, the curve says from where', async () => {
    const { alpha, curve } = await runSteppedArm(experiment, arm({ selector: 'full', keep: 1 }), RATE)
    expect(curve?.[0]?.steps).toBe(0)
    expect(curve?.at(-1)?.steps).toBe(50)
    expect(alpha).toBeGreaterThan(curve![0]!.alpha + 0.02)
  })

  test('arms of one share keep the same number of positions and go over the same number, whatever selects', async () => {
    const [longestPiece, longestWindow] = [64, 128]
    const available = positionsOf(dataset.training)
    const selectors = ['random', 'length', 'flatness', 'least-flat', 'learned']
    const results = []
    for (const selector of selectors) results.push(await runSteppedArm(experiment, arm({ selector }), RATE))
    const kept = results.map(({ positions }) => positions.kept)
    const used = results.map(({ positions }) => positions.used)
    expect(results.every(({ steps }) => steps === 50)).toBe(true)
    expect(Math.max(...used) - Math.min(...used)).toBeLessThanOrEqual(longestPiece)
    expect(new Set(kept.slice(0, -1))).toEqual(new Set([Math.round(available / 2)]))
    // A rule that begins late may have to take one window more than was released.
    expect(kept.at(-1)).toBeLessThanOrEqual(available / 2 + longestWindow)
  })

  test('of single positions, half of what the pieces hold meets the head in as many steps', async () => {
    const whole = await runSteppedArm(experiment, arm({ selector: 'flatness' }), RATE)
    const single = await runSteppedArm(experiment, arm({ selector: 'flatness', unit: 'token' }), RATE)
    expect(single.steps).toBe(whole.steps)
    expect(single.positions.used / whole.positions.used).toBeGreaterThan(0.45)
    expect(single.positions.used / whole.positions.used).toBeLessThan(0.55)
  })

  test('full data at equal epochs has twice the steps', async () => {
    const equal = await runSteppedArm(experiment, arm({ selector: 'full', keep: 1, matched: 'epochs' }), RATE)
    expect(equal.steps).toBe(100)
  })

  test('an arm that is done is not run again, nor a learning rate that was tried', async () => {
    const header = { dataset: { fingerprint: 'a' } } as ResultsHeader
    const path = join(folder, 'gradients-demo.jsonl')
    const arms = [arm({}), arm({ selector: 'flatness' })]
    const said: string[] = []
    const run = async () => {
      const results = await ResultsFile.open(path, header)
      const say = (line: string) => said.push(line)
      await runStepped(experiment, { arms, rates: [1e-3, 1e-2] }, { results, threads: 1, quick: false, say })
      return results
    }
    const results = await run()
    expect(arms.every((one) => results.has(armName(experiment, one)))).toBe(true)
    const [lines, text] = [said.length, await readFile(path, 'utf8')]
    await run()
    expect(said.length).toBe(lines)
    expect(await readFile(path, 'utf8')).toBe(text)
  })
})
