import { gradientPrefix, parameterShapes, type CausalLmConfig } from '@plateau/causal-lm'
import { describe, expect, it } from 'vitest'
import { AdamW } from './adamw.js'
import { nextTokenBatch, shuffledRuns } from './language-model-batch.js'
import { stackLayers } from './language-model-stacking.js'
import { trainLanguageModel, type ComputeEngine, type StepReport } from './language-model-training.js'
import { cosineDecay, linearWarmUp } from './schedule.js'

const config: CausalLmConfig = {
  vocabSize: 5,
  hiddenSize: 4,
  layers: 2,
  heads: 1,
  kvHeads: 1,
  headDim: 4,
  intermediateSize: 3,
  rmsNormEps: 1e-5,
  ropeTheta: 100,
  maxPositions: 8,
  tieEmbeddings: true,
  bosTokenId: undefined,
  eosTokenIds: [],
}
const shapes = parameterShapes(config)

describe('the training loop', () => {
  it('skips and counts steps whose loss or gradient is not finite, and goes on', async () => {
    const losses = [2, Number.NaN, 1.5, 1]
    const optimizer = filledOptimizer()
    const reports: StepReport[] = []
    // Step 2 has a finite loss and an infinite gradient.
    await trainLanguageModel({
      ...loop(
        optimizer,
        engineOf(losses, (step) => (step === 2 ? Number.POSITIVE_INFINITY : 0.1)),
        losses.length,
      ),
      onStep: (report) => void reports.push(report),
    })
    expect(reports.map(({ applied }) => applied)).toEqual([true, false, false, true])
    expect(reports.map(({ skipped }) => skipped)).toEqual([0, 1, 2, 2])
    expect(optimizer.state.steps).toBe(2)
    expect([...optimizer.state.parameters.values()].every((data) => data.every(Number.isFinite))).toBe(true)
  })

  it('feeds the parameters in place, so that a step sees the one before', async () => {
    const seen: number[] = []
    const optimizer = filledOptimizer()
    const engine = engineOf(
      [1, 1, 1],
      () => 0.1,
      (feeds) => seen.push((feeds['model.norm.weight']!.data as Float32Array)[0]!),
    )
    await trainLanguageModel(loop(optimizer, engine, 3))
    expect(seen[0]).toBe(1)
    expect(seen[1]).toBeLessThan(seen[0]!)
    expect(seen[2]).toBeLessThan(seen[1]!)
  })

  it('ends where the schedule ends', async () => {
    const optimizer = filledOptimizer()
    await trainLanguageModel(
      loop(
        optimizer,
        engineOf([1, 1], () => 0.1),
        0,
      ),
    )
    expect(optimizer.state.steps).toBe(0)
  })
})

describe('batches', () => {
  it('pair each token with the one that follows it', () => {
    const batch = nextTokenBatch(
      [
        [1, 2, 3],
        [4, 0, 1],
      ],
      2,
    )
    expect([...batch.inputIds]).toEqual([1n, 2n, 4n, 0n])
    expect([...batch.targetIds]).toEqual([2n, 3n, 0n, 1n])
    expect(batch.rowWeights.reduce((a, b) => a + b, 0)).toBe(1)
  })

  it('refuse a run of another length', () => {
    expect(() => nextTokenBatch([[1, 2]], 2)).toThrow('a run needs 3 tokens, got 2')
  })

  it('shuffled runs cover the text once per epoch, in another order and from another offset each time', () => {
    const tokens = Uint16Array.from({ length: 103 }, (_, i) => i)
    let state = 1
    const runs = shuffledRuns(tokens, 10, () => (state = (state * 16_807) % 2_147_483_647) / 2_147_483_647)
    const epoch = () => Array.from({ length: 9 }, () => [...runs.next().value])
    const [first, second] = [epoch(), epoch()]
    for (const run of [...first, ...second]) expect(run).toEqual(Array.from({ length: 10 }, (_, i) => run[0]! + i))
    expect(new Set(first.map((run) => run[0])).size).toBe(9)
    expect(first.map((run) => run[0])).not.toEqual(first.map((run) => run[0]).toSorted((a, b) => a! - b!))
    expect(second).not.toEqual(first)
  })
})

describe('stacking', () => {
  it('copies layers in turn and everything else as it is, moments too', () => {
    const optimizer = filledOptimizer()
    optimizer.step(new Map([...shapes].map(([name, shape], i) => [name, filled(shape, 0.01 * (i + 1))])), 0.1)
    const shallow = optimizer.state
    const deep = stackLayers(shallow, config, 5)
    expect([...deep.parameters.keys()]).toEqual([...parameterShapes({ ...config, layers: 5 }).keys()])
    expect(deep.steps).toBe(1)
    for (const kind of ['parameters', 'firstMoments', 'secondMoments'] as const) {
      expect(deep[kind].get('model.norm.weight')).toEqual(shallow[kind].get('model.norm.weight'))
      for (let layer = 0; layer < 5; layer++) {
        const source = shallow[kind].get(`model.layers.${layer % 2}.mlp.up_proj.weight`)
        expect(deep[kind].get(`model.layers.${layer}.mlp.up_proj.weight`)).toEqual(source)
      }
    }
  })

  it('shares no memory with the shallow model', () => {
    const shallow = filledOptimizer().state
    const deep = stackLayers(shallow, config, 4)
    deep.parameters.get('model.layers.2.mlp.up_proj.weight')!.fill(9)
    expect(shallow.parameters.get('model.layers.0.mlp.up_proj.weight')![0]).toBe(1)
    expect(deep.parameters.get('model.layers.0.mlp.up_proj.weight')![0]).toBe(1)
  })
})

describe('schedules', () => {
  it('warm-up rises evenly to 1 and stays', () => {
    expect([0, 1, 3, 4, 100].map((step) => linearWarmUp(step, 4))).toEqual([0.25, 0.5, 1, 1, 1])
    expect(linearWarmUp(0, 0)).toBe(1)
  })

  it('cosine decay goes from 1 through the middle to its floor, and no lower', () => {
    expect(cosineDecay(0)).toBe(1)
    expect(cosineDecay(0.5)).toBeCloseTo(0.5)
    expect(cosineDecay(1)).toBe(0)
    expect(cosineDecay(1.5, 0.1)).toBeCloseTo(0.1)
    expect(cosineDecay(0.5, 0.1)).toBeCloseTo(0.55)
  })
})

function loop(optimizer: AdamW, engine: ComputeEngine, steps: number) {
  const nextBatch = () => nextTokenBatch([[1, 2, 3]], 2)
  return {
    config,
    optimizer,
    engine,
    nextBatch,
    learningRate: (step: number) => (step < steps ? 0.01 : undefined),
    onStep: () => {},
  }
}

/** Answers with prepared losses and a gradient that is the same everywhere. */
function engineOf(
  losses: readonly number[],
  gradient: (step: number) => number,
  onFeeds: (feeds: Parameters<ComputeEngine['run']>[0]) => void = () => {},
): ComputeEngine {
  let step = 0
  return {
    run(feeds) {
      onFeeds(feeds)
      const gradients = [...shapes].map(([name, shape]) => [
        gradientPrefix + name,
        { data: filled(shape, gradient(step)) },
      ])
      const loss = { data: Float32Array.of(losses[step++]!) }
      return Promise.resolve(Object.fromEntries([['loss', loss], ...gradients]))
    },
  }
}

function filledOptimizer(): AdamW {
  const optimizer = new AdamW(shapes)
  optimizer.loadParameters(new Map([...shapes].map(([name, shape]) => [name, filled(shape, 1)])))
  return optimizer
}

function filled(shape: readonly number[], value: number): Float32Array {
  return new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(value)
}
