/** A causal draft learns from captured windows, is scored on them, and its training continues exactly. */
import {
  buildTrainGraph,
  draftVocabularyMap,
  initialCausalDraft,
  referenceForward,
  type CausalDraft,
  type CausalDraftConfig,
} from '@plateau/causal-lm'
import { seededRandom } from '@plateau/speculation'
import { batches, CausalDraftTraining, type TokenRows } from '@plateau/training'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { CausalLmDraftScorer } from './causal-lm-draft-scorer.js'
import { CausalLmDraft } from './causal-lm-draft.js'
import { summarizeScores } from './feature-head-scorer.js'
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

it('its alpha is the overlap with the plain forward pass, tokens that it cannot say counting nothing', async () => {
  const draft = initialCausalDraft(config, seededRandom(3))
  for (const { shape: dims, data } of draft.parameters.values()) {
    if (dims.length > 1) data.forEach((value, i) => (data[i] = 20 * value))
  }
  const { rowOf } = draftVocabularyMap(config)
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

function sayable(token: number): number {
  const { ids, probs } = successors(token)
  return probs.reduce((sum, p, j) => sum + (ids[j]! < 16 ? p : 0), 0)
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}
