/** A causal draft learns from captured windows, is scored on them, and its training continues exactly. */
import {
  buildTrainGraph,
  draftVocabularyMap,
  initialCausalDraft,
  referenceForward,
  type CausalDraft,
  type CausalDraftConfig,
} from '@plateau/causal-lm'
import { denseOverlap, seededRandom, transformLogits } from '@plateau/speculation'
import { batches, CausalDraftTraining, type ComputeEngine, type TokenRows } from '@plateau/training'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { CausalLmDraftScorer } from './causal-lm-draft-scorer.js'
import { CausalLmDraft } from './causal-lm-draft.js'
import { summarizeScores } from './feature-head-scorer.js'
import type { HostTensor } from './host-tensor.js'
import { loadSession, type InferenceSession } from './session.js'

const V = 24
const K = 6
const config: CausalDraftConfig = {
  model: {
    vocabSize: 17,
    hiddenSize: 16,
    layers: 1,
    heads: 4,
    kvHeads: 2,
    headDim: 4,
    intermediateSize: 32,
    rmsNormEps: 1e-5,
    ropeTheta: 1000,
    maxPositions: 64,
    tieEmbeddings: true,
    bosTokenId: undefined,
    eosTokenIds: [],
  },
  targetVocabSize: V,
  draftVocabulary: Int32Array.from({ length: 16 }, (_, row) => row),
}
const shape = { sequences: 4, positions: 16, targetsPerRow: K }
const { rowOf } = draftVocabularyMap(config)

/** A target whose next token depends on the last one only; some tokens are beyond the draft's vocabulary. */
function successors(token: number): { ids: number[]; probs: number[] } {
  const ids = Array.from({ length: K }, (_, j) => (token * 5 + j * 7 + 3) % V)
  return { ids, probs: [0.6, 0.2, 0.1, 0.05, 0.03, 0.02] }
}

function windows(count: number, length: number, seed: number): TokenRows[] {
  const random = seededRandom(seed)
  return Array.from({ length: count }, () => {
    const tokens = [Math.floor(random() * V)]
    while (tokens.length < length) {
      const { ids } = successors(tokens.at(-1)!)
      tokens.push(ids[random() < 0.7 ? 0 : 1]!)
    }
    const rows = tokens.map(successors)
    return {
      length,
      tokens: Int32Array.from(tokens),
      listed: K,
      listedIds: Int32Array.from(rows.flatMap(({ ids }) => ids)),
      listedProbs: Float32Array.from(rows.flatMap(({ probs }) => probs)),
    }
  })
}

const engines: InferenceSession[] = []
beforeAll(async () => {
  for (const loss of ['kl', 'tv'] as const) {
    const { model } = buildTrainGraph(config.model, shape, { loss })
    engines.push(await loadSession(model, { name: 'training', threads: 1 }))
  }
})
afterAll(() => Promise.all(engines.map((engine) => engine.release())))

async function train(training: CausalDraftTraining, steps: number, seed: number): Promise<number[]> {
  const losses: number[] = []
  for (let step = 0; step < steps; step++) {
    const [pieces] = batches(windows(4, 16, seed + step), shape.sequences, shape.positions)
    losses.push((await training.step(pieces!)).loss)
  }
  return losses
}

/** Half of the rows, weighing differently. */
const weighted = batches(windows(4, 16, 5), shape.sequences, shape.positions)[0]!.map((piece, i) => ({
  ...piece,
  weights: Float32Array.from({ length: 16 }, (_, r) => ((i + r) % 2 ? 0 : 1 + (r % 3))),
}))

/** Loss and gradients of a step with these pieces, by a graph of this shape. */
async function stepOutputs(as: typeof shape & { selectedRows?: number }) {
  const session = await loadSession(buildTrainGraph(config.model, as).model, { name: 'selection', threads: 1 })
  let outputs: Record<string, HostTensor> = {}
  const engine: ComputeEngine = {
    run: async (feeds) => (outputs = await session.run(feeds as Record<string, HostTensor>)),
  }
  const draft = initialCausalDraft(config, seededRandom(4))
  const report = await new CausalDraftTraining(draft, engine, as).step(weighted)
  await session.release()
  return { outputs: new Map(Object.entries(outputs).map(([name, { data }]) => [name, data as Float32Array])), report }
}

it.each([32, 40])(
  'rows that do not count may stay away from the output head (%i rows meet it)',
  async (selectedRows) => {
    const all = await stepOutputs(shape)
    const few = await stepOutputs({ ...shape, selectedRows })
    expect(few.report.positions).toBe(32)
    expect(few.report.loss).toBeCloseTo(all.report.loss, 5)
    for (const [name, data] of all.outputs) {
      const largest = data.reduce((most, x) => Math.max(most, Math.abs(x)), 0)
      const worst = data.reduce((most, x, i) => Math.max(most, Math.abs(x - few.outputs.get(name)![i]!)), 0)
      expect(largest).toBeGreaterThan(0)
      expect(worst / largest).toBeLessThan(1e-5)
    }
  },
)

it('a step in which nothing counts is refused', async () => {
  const training = new CausalDraftTraining(initialCausalDraft(config, seededRandom(2)), engines[0]!, shape)
  const nothing = weighted.map((piece) => ({ ...piece, weights: new Float32Array(16) }))
  await expect(training.step(nothing)).rejects.toThrow(/that counts/)
})

async function scored(draft: CausalDraft, rows: readonly TokenRows[], logitScale?: number) {
  const scorer = await CausalLmDraftScorer.create(config, { threads: 1, listedTokens: K })
  try {
    return await scorer.score(draft, rows, logitScale)
  } finally {
    await scorer.release()
  }
}

it.each([
  ['kl', 0],
  ['tv', 1],
] as const)('with %s it learns a target whose tokens it knows only in part', async (_, engine) => {
  const options = { learningRate: 0.02, warmUpSteps: 5 }
  const fresh = initialCausalDraft(config, seededRandom(1))
  const training = new CausalDraftTraining(fresh, engines[engine]!, shape, options)
  await train(training, 150, 100)
  const held = windows(6, 40, 7)
  const before = summarizeScores(await scored(fresh, held))
  const after = summarizeScores(await scored(training.draft, held))
  // What it could reach: all mass on tokens that it has, after tokens that it can tell apart.
  const reachable = mean(held.flatMap((rows) => Array.from(rows.tokens, (token) => (token < 16 ? sayable(token) : 0))))
  expect(before.alpha).toBeLessThan(0.35)
  expect(after.alpha).toBeGreaterThan(0.85 * reachable)
  // Half of the most probable tokens are beyond its vocabulary.
  expect(after.greedyMatch).toBeGreaterThan(0.4)

  const loaded = await CausalLmDraft.load(training.draft, { version: '1' })
  const session = loaded.open({ tokens: [15, 6, 9], features: new Float32Array(0) })
  const sampling = { temperature: 0, topK: 0, topP: 1 }
  // Then 18 comes, most likely, and it has learned that it cannot say what comes after 3.
  expect((await session.propose(4, sampling, seededRandom(1))).tokens).toEqual([0, 3])
  session.close()
  await loaded.release()
})

it('continues from its saved state exactly', async () => {
  const fresh = initialCausalDraft(config, seededRandom(2))
  const first = new CausalDraftTraining(fresh, engines[0]!, shape)
  await train(first, 5, 1)
  const second = new CausalDraftTraining(fresh, engines[0]!, shape)
  second.load(first.state)
  expect(second.steps).toBe(5)
  expect(await train(second, 3, 50)).toEqual(await train(first, 3, 50))
  expect(second.draft).toEqual(first.draft)
})

it('its gain is the slope of alpha along a step in which the unknown takes part and is never accepted', async () => {
  const draft = spread(3)
  const rows = windows(3, 20, 9)
  const scorer = await CausalLmDraftScorer.create(config, { threads: 1, listedTokens: K })
  const signals = await scorer.signals(draft, rows)
  expect((await scorer.score(draft, rows)).alpha).toEqual(signals.overlap)
  await scorer.release()
  const expected = rows.flatMap((window) => {
    const tokens = Array.from(window.tokens, (token) => rowOf[token]!)
    return referenceForward(config.model, draft.parameters, tokens).logits.map((logits, r) => {
      const p = new Float64Array(17)
      const { ids, probs } = successors(window.tokens[r]!)
      ids.forEach((id, j) => (p[rowOf[id]!]! += probs[j]!))
      const q = softmax(logits)
      const alpha = (eta: number) => {
        const moved = softmax(logits.map((z, row) => z + eta * (p[row]! - q[row]!)))
        return denseOverlap(p.subarray(0, 16), moved.subarray(0, 16))
      }
      const entropy = q.reduce((sum, x) => sum - x * Math.log(x), 0)
      return { gain: (alpha(1e-5) - alpha(-1e-5)) / 2e-5, entropy }
    })
  })
  expected.forEach(({ gain, entropy }, i) => {
    expect(signals.gain[i]).toBeCloseTo(gain, 4)
    expect(signals.entropy[i]).toBeCloseTo(entropy, 4)
  })
  expect(Math.max(...signals.gain)).toBeGreaterThan(0.01)
})

it('its alpha is the overlap with the plain forward pass, tokens that it cannot say counting nothing', async () => {
  const draft = spread(3)
  // Longer than the scorer's sequences: the second piece is read from its own beginning.
  const rows = windows(3, 80, 9)
  const { alpha, greedyMatch } = await scored(draft, rows, 0.7)
  const expected = rows.flatMap((window) =>
    [0, 64].flatMap((from) => {
      const tokens = Array.from(window.tokens.subarray(from, from + 64), (token) => rowOf[token]!)
      return referenceForward(config.model, draft.parameters, tokens).logits.map((logits, i) => {
        const scaled = logits.map((logit) => Math.exp(0.7 * logit))
        const mass = scaled.reduce((sum, value) => sum + value, 0)
        const { ids, probs } = successors(window.tokens[from + i]!)
        const overlap = ids.map((id, j) => (rowOf[id] === 16 ? 0 : Math.min(probs[j]!, scaled[rowOf[id]!]! / mass)))
        return {
          alpha: overlap.reduce((sum, value) => sum + value, 0),
          match: Number(logits.indexOf(Math.max(...logits)) === rowOf[ids[0]!] && ids[0]! < 16),
        }
      })
    }),
  )
  expect(alpha).toHaveLength(expected.length)
  alpha.forEach((value, i) => expect(value).toBeCloseTo(expected[i]!.alpha, 5))
  expect(Array.from(greedyMatch)).toEqual(expected.map(({ match }) => match))
  expect(expected.some(({ match }) => match === 1)).toBe(true)
})

/** Larger weights than a fresh draft has, so that predictions differ. */
function spread(seed: number): CausalDraft {
  const draft = initialCausalDraft(config, seededRandom(seed))
  for (const { shape: dims, data } of draft.parameters.values()) {
    if (dims.length > 1) data.forEach((value, i) => (data[i] = 20 * value))
  }
  return draft
}

const softmax = (logits: Float64Array): Float64Array => transformLogits(logits, { temperature: 1, topK: 0, topP: 1 })

function sayable(token: number): number {
  const { ids, probs } = successors(token)
  return probs.reduce((sum, p, j) => sum + (ids[j]! < 16 ? p : 0), 0)
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}
