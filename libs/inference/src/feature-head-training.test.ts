/** The gradient stage of the feature-fed head in the engine that runs it. */
import {
  buildFeatureHeadTrainGraph,
  draftLosses,
  featureHeadParameter,
  featureHeadShapes,
  gradientPrefix,
  initialFeatureHead,
  referenceFeatureHead,
  trainableFeatureHeadParameters,
  withParameters,
  withVocabulary,
  type DraftLoss,
  type FeatureHead,
  type FeatureHeadBatchShape,
  type FeatureHeadConfig,
} from '@plateau/causal-lm'
import { seededRandom } from '@plateau/speculation'
import {
  FeatureHeadTraining,
  prepareDraftTarget,
  type ComputeEngine,
  type DraftRows,
  type Piece,
} from '@plateau/training'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type FloatTensor, type HostTensor } from './host-tensor.js'
import { loadSession, type InferenceSession } from './session.js'

const H = 8
const V = 23
const shape = { sequences: 2, positions: 5, listedTokens: 4 }
const config: FeatureHeadConfig = {
  hiddenSize: H,
  vocabSize: V,
  bilinearFeatures: 6,
  rmsNormEps: 1e-5,
  layer: { heads: 2, headDim: 4, intermediateSize: 10, ropeTheta: 10_000, contextPositions: 8 },
}
const random = seededRandom(9)
const normal = (): number => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
const normals = (n: number, scale = 1): Float32Array => Float32Array.from({ length: n }, () => scale * normal())
const bare = { embeddings: normals(V * H), head: normals(V * H, 0.5), norm: normals(H, 0.1).map((x) => 1 + x) }
const target = prepareDraftTarget(bare, config)

/** Every parameter random, the layer's outputs too. */
const head = ((): FeatureHead => {
  const initial = initialFeatureHead(config, bare, random)
  const noisy = [...featureHeadShapes(config)]
    .filter(([name]) => !name.startsWith('bilinear.') && name !== 'logit_scale')
    .map(([name, dims]) => {
      const count = dims.reduce((a, b) => a * b, 1)
      return [name, normals(count, 0.35).map((x) => (dims.length === 1 ? 1 + x / 3 : x))] as const
    })
  return withParameters(initial, Object.fromEntries(noisy))
})()

function rows(n: number): DraftRows {
  const k = 6
  return {
    length: n,
    tokens: Int32Array.from({ length: n }, () => Math.floor(random() * V)),
    features: normals(n * H),
    nextFeatures: normals(n * H),
    listed: k,
    listedIds: Int32Array.from({ length: n * k }, (_, i) => (7 * (i % k) + Math.floor(i / k)) % V),
    listedProbs: Float32Array.from({ length: n * k }, (_, i) => [0.4, 0.2, 0.15, 0.1, 0.05, 0.02][i % k]!),
    weights: new Float32Array(n).fill(1),
  }
}
const windows = [rows(5), rows(3)]
const pieces: Piece[] = windows.map((window) => ({ rows: window, from: 0, to: window.length }))

const sessions = new Map<DraftLoss, InferenceSession>()
beforeAll(async () => {
  for (const loss of draftLosses) {
    const graph = buildFeatureHeadTrainGraph(config, shape, loss, { features: true })
    sessions.set(loss, await loadSession(graph, { threads: 1, name: `${loss} step` }))
  }
})
afterAll(async () => {
  for (const session of sessions.values()) await session.release()
})

/** What a step is fed, and how much its rows count. */
async function feedsOf(of: FeatureHead, fed = pieces, as: FeatureHeadBatchShape = shape) {
  let inputs: Record<string, HostTensor> = {}
  const engine: ComputeEngine = {
    run: (given) => {
      inputs = given as Record<string, HostTensor>
      return Promise.reject(new Error('only fed'))
    },
  }
  await expect(new FeatureHeadTraining(of, target, engine, as).step(fed)).rejects.toThrow('only fed')
  return inputs
}

interface PlainOptions {
  readonly steps?: number
  readonly fed?: readonly Piece[]
}

/**
 * The losses by their definition: the listed tokens, and all others as one bucket. Step u predicts row r as drafting does:
 * from the target's states up to row r - u + 1, then from the head's own.
 */
function plainLoss(of: FeatureHead, kind: DraftLoss, { steps = 1, fed = pieces }: PlainOptions = {}): number {
  let [total, counted, shares] = [0, 0, 0]
  for (let step = 1; step <= steps; step++) shares += 0.8 ** (step - 1)
  for (const { rows: window, weights } of fed) {
    for (let r = 0; r < window.length; r++) {
      const weight = weights?.[r] ?? 1
      counted += weight
      for (let step = 1; step <= Math.min(steps, r + 1); step++) {
        total += ((weight * 0.8 ** (step - 1)) / shares) * plainRowLoss(predicted(of, window, r, step), window, r, kind)
      }
    }
  }
  return total / counted
}

function predicted(of: FeatureHead, window: DraftRows, row: number, step: number): Float64Array {
  const known = row - step + 2
  const features: ArrayLike<number>[] = Array.from({ length: known }, (_, i) =>
    window.features.subarray(i * H, (i + 1) * H),
  )
  const tokens = Array.from(window.tokens.subarray(0, row + 1))
  while (features.length <= row) {
    features.push(referenceFeatureHead(of, target, tokens.slice(0, features.length), features).at(-1)!.hidden)
  }
  return referenceFeatureHead(of, target, tokens, features).at(-1)!.logits
}

function plainRowLoss(logits: Float64Array, window: DraftRows, row: number, kind: DraftLoss): number {
  const mass = logits.reduce((sum, z) => sum + Math.exp(z), 0)
  const listed = Array.from({ length: shape.listedTokens }, (_, j) => {
    const at = row * window.listed + j
    return { p: window.listedProbs[at]!, q: Math.exp(logits[window.listedIds[at]!]!) / mass }
  })
  const rest = listed.reduce((left, { p, q }) => ({ p: left.p - p, q: left.q - q }), { p: 1, q: 1 })
  const outcomes = [...listed, rest]
  const tv = outcomes.reduce((sum, { p, q }) => sum + Math.abs(p - q) / 2, 0)
  const kl = outcomes.reduce((sum, { p, q }) => sum + p * Math.log(p / q), 0)
  if (kind === 'tv') return tv
  if (kind === 'kl') return kl
  const share = Math.exp(-3 * (1 - tv))
  return share * kl + (1 - share) * tv
}

/** Of some elements of every trained parameter, the worst error relative to the parameter's largest gradient. */
function worstGradientError(
  outputs: Readonly<Record<string, HostTensor>>,
  of: FeatureHead,
  names: readonly string[],
  loss: (changed: FeatureHead) => number,
): number {
  let worst = 0
  for (const name of names) {
    const gradient = (outputs[`${gradientPrefix}${name}`] as FloatTensor).data
    const largest = gradient.reduce((max, g) => Math.max(max, Math.abs(g)), 0)
    expect(`${name} ${largest > 0}`).toBe(`${name} true`)
    const step = 1e-3
    for (let at = 0; at < gradient.length; at += Math.max(1, Math.floor(gradient.length / 5))) {
      const moved = (by: number): number => {
        const data = featureHeadParameter(of, name).slice()
        data[at]! += by
        return loss(withParameters(of, { [name]: data }))
      }
      const error = Math.abs((moved(step) - moved(-step)) / (2 * step) - gradient[at]!) / largest
      if (!(error <= worst)) worst = error
    }
  }
  return worst
}

test.each(draftLosses)(
  'the %s loss of a feature-fed head is its definition over the plain reference, padding left out',
  async (kind) => {
    const { loss } = await sessions.get(kind)!.run(await feedsOf(head), ['loss'])
    expect((loss as FloatTensor).data[0]).toBeCloseTo(plainLoss(head, kind), 5)
  },
)

// The hybrid's mixture is held still in its gradient: gradients.test.ts.
test.each(['kl', 'tv'] as const)(
  'the %s loss has the gradients that finite differences of the plain reference show, for every parameter',
  async (kind) => {
    const outputs = await sessions.get(kind)!.run(await feedsOf(head))
    const names = trainableFeatureHeadParameters(config, { features: true })
    expect(names).toEqual([...featureHeadShapes(config).keys()])
    expect(worstGradientError(outputs, head, names, (changed) => plainLoss(changed, kind))).toBeLessThan(0.02)
  },
)

const pairHead = ((): FeatureHead => {
  const fresh = initialFeatureHead({ ...config, bilinearSeed: 4, layer: undefined }, bare, random)
  return withParameters(fresh, { 'fc.weight': normals(featureHeadParameter(fresh, 'fc.weight').length, 0.35) })
})()

describe.each([
  ['with a layer and trained features', head, { features: true }],
  ['with a layer', head, {}],
  ['of coordinate products, without a layer', pairHead, {}],
])('a head %s, unrolled over its own states', (_, of, trained) => {
  test('has the loss and the gradients of drafting that many tokens', async () => {
    const graph = buildFeatureHeadTrainGraph(of.config, shape, 'kl', { ...trained, unrolledSteps: 3 })
    const session = await loadSession(graph, { threads: 1, name: 'unrolled' })
    const outputs = await session.run(await feedsOf(of))
    await session.release()
    const plain = (changed: FeatureHead): number => plainLoss(changed, 'kl', { steps: 3 })
    expect((outputs['loss'] as FloatTensor).data[0]).toBeCloseTo(plain(of), 5)
    const names = trainableFeatureHeadParameters(of.config, trained)
    expect(worstGradientError(outputs, of, names, plain)).toBeLessThan(0.02)
  })
})

describe('rows that are not selected', () => {
  const weights = [Float32Array.of(0, 2, 0, 0, 1), Float32Array.of(0, 0, 0.5)]
  const weighted = pieces.map((piece, i) => ({ ...piece, weights: weights[i]! }))
  const few = { ...shape, selectedRows: 4 }

  test.each([1, 3])('count nothing and are still context, over %i steps', async (unrolledSteps) => {
    const graph = (as: FeatureHeadBatchShape) => buildFeatureHeadTrainGraph(config, as, 'kl', { unrolledSteps })
    const losses: number[] = []
    for (const as of [shape, few]) {
      const session = await loadSession(graph(as), { threads: 1, name: 'selection' })
      const outputs = await session.run(await feedsOf(head, weighted, as))
      await session.release()
      losses.push((outputs['loss'] as FloatTensor).data[0]!)
      const plain = (changed: FeatureHead): number => plainLoss(changed, 'kl', { steps: unrolledSteps, fed: weighted })
      expect(losses.at(-1)).toBeCloseTo(plain(head), 5)
      expect(worstGradientError(outputs, head, ['fc.weight', 'layers.0.self_attn.k_proj.weight'], plain)).toBeLessThan(
        0.02,
      )
    }
    expect(losses[1]).toBeCloseTo(losses[0]!, 6)
  })

  test('do not meet the output head', async () => {
    const { selected, target_ids: ids, row_weights: counts } = await feedsOf(head, weighted, few)
    expect([...(selected!.data as BigInt64Array)]).toEqual([1n, 4n, 7n, 0n])
    expect(ids!.dims).toEqual([4, shape.listedTokens])
    expect((counts as FloatTensor).data.map((w) => w * 3.5)).toEqual(Float32Array.of(2, 1, 0.5, 0))
    // Too many: those that count most.
    const two = await feedsOf(head, weighted, { ...shape, selectedRows: 2 })
    expect([...(two['selected']!.data as BigInt64Array)]).toEqual([1n, 4n])
    const none = pieces.map((piece) => ({ ...piece, weights: new Float32Array(5) }))
    await expect(new FeatureHeadTraining(head, target, sessions.get('kl')!, few).step(none)).rejects.toThrow(
      /that counts/,
    )
  })
})

test('tokens that the draft cannot propose are tail of the target', async () => {
  const reduced = withVocabulary(head, Int32Array.of(0, 2, 3, 7, 8, 9, 14, 15, 21))
  const session = await loadSession(buildFeatureHeadTrainGraph(reduced.config, shape, 'kl'), {
    threads: 1,
    name: 'few',
  })
  const fed: Record<string, HostTensor> = {}
  const engine = {
    run: (inputs: Record<string, HostTensor>) => {
      Object.assign(fed, inputs)
      return session.run(inputs)
    },
  }
  await new FeatureHeadTraining(reduced, target, engine as InferenceSession, shape).step(pieces)
  await session.release()
  // Row 0 lists 0, 7, 14, 21, 5, 12: the first four can be said. Row 1 lists 1, 8, 15, 22, 6, 13: two of them.
  expect([...(fed['target_ids']!.data as BigInt64Array).subarray(0, 4)]).toEqual([0n, 3n, 6n, 8n])
  expect([...(fed['target_probs'] as FloatTensor).data.subarray(0, 4)]).toEqual([
    ...Float32Array.of(0.4, 0.2, 0.15, 0.1),
  ])
  expect([...(fed['target_ids']!.data as BigInt64Array).subarray(4, 8)]).toEqual([4n, 7n, 0n, 1n])
  expect([...(fed['target_probs'] as FloatTensor).data.subarray(4, 8)]).toEqual([...Float32Array.of(0.2, 0.15, 0, 0)])
  expect(fed['head']!.dims).toEqual([9, H])
  expect([...(fed['head'] as FloatTensor).data.subarray(3 * H, 4 * H)]).toEqual([...bare.head.subarray(7 * H, 8 * H)])
})

describe('the gradient stage', () => {
  const training = (engine = sessions.get('tv')!) =>
    new FeatureHeadTraining(head, target, engine, shape, { learningRate: 3e-3, warmUpSteps: 5, stepsPerGoodCopy: 4 })

  test('lowers the loss, the closed form moving slowest', async () => {
    const stage = training()
    const first = await stage.step(pieces)
    for (let i = 0; i < 60; i++) await stage.step(pieces)
    const last = await stage.step(pieces)
    expect(first.positions).toBe(8)
    expect(last.loss).toBeLessThan(first.loss - 0.05)
    const moved = (name: string): number =>
      Math.max(
        ...featureHeadParameter(stage.head, name).map((x, i) => Math.abs(x - featureHeadParameter(head, name)[i]!)),
      )
    expect(moved('fc.weight')).toBeLessThan(moved('layers.0.mlp.down_proj.weight') / 2)
    expect(moved('bilinear.token.weight')).toBe(0)
  })

  test('moves the matrices behind the bilinear features only where asked to', async () => {
    const options = { learningRate: 3e-3, warmUpSteps: 5, trained: { features: true } }
    const stage = new FeatureHeadTraining(head, target, sessions.get('tv')!, shape, options)
    for (let i = 0; i < 5; i++) await stage.step(pieces)
    for (const name of ['bilinear.token.weight', 'bilinear.feature.weight']) {
      expect(featureHeadParameter(stage.head, name)).not.toEqual(featureHeadParameter(head, name))
    }
  })

  test('continues from a saved state exactly as it would have gone on', async () => {
    const one = training()
    for (let i = 0; i < 5; i++) await one.step(pieces)
    const two = training()
    two.load(one.state)
    const next = await one.step(pieces)
    expect(await two.step(pieces)).toEqual(next)
    expect(two.head).toEqual(one.head)
    expect(two.steps).toBe(6)
  })

  test('skips steps that are not finite, and after three in a row returns to the last good state', async () => {
    const real = sessions.get('tv')!
    let poison = false
    const stage = training({
      run: async (inputs: Record<string, HostTensor>) => {
        const outputs = await real.run(inputs)
        if (poison) (outputs[`${gradientPrefix}norm.weight`] as FloatTensor).data[0] = Number.NaN
        return outputs
      },
    } as InferenceSession)
    for (let i = 0; i < 6; i++) await stage.step(pieces) // good copies at 4
    const before = stage.head
    poison = true
    const skipped = [await stage.step(pieces), await stage.step(pieces)]
    expect(skipped.map(({ applied, restored }) => [applied, restored])).toEqual([
      [false, false],
      [false, false],
    ])
    expect(stage.head).toEqual(before)
    expect((await stage.step(pieces)).restored).toBe(true)
    expect(stage.steps).toBe(4)
    poison = false
    expect((await stage.step(pieces)).applied).toBe(true)
  })

  test('follows the closed form: a new solution moves the projection, what was learned on top stays', async () => {
    const stage = training()
    for (let i = 0; i < 5; i++) await stage.step(pieces)
    const before = featureHeadParameter(stage.head, 'fc.weight')
    stage.shiftProjection(new Float32Array(before.length).fill(0.25))
    const after = featureHeadParameter(stage.head, 'fc.weight')
    expect(Math.max(...after.map((x, i) => Math.abs(x - before[i]! - 0.25)))).toBeLessThan(1e-6)
    expect(stage.steps).toBe(5)
  })
})
