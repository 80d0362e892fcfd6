import {
  buildFeatureHeadTrainGraph,
  buildTrainGraph,
  causalDraftShape,
  initialCausalDraft,
  initialFeatureHead,
  withLayer,
} from '@plateau/causal-lm'
import { loadSession, prepareDraftTarget, type InferenceSession } from '@plateau/inference'
import { seededRandom } from '@plateau/speculation'
import { CausalDraftTraining, FeatureHeadTraining, type Piece, type TrainingEngine } from '@plateau/training'
import { expect, test } from 'vitest'
import { acceptedWindow, Teacher } from '../testing.js'
import { StepGraphs } from './step-graphs.js'

const teacher = new Teacher()
const { hiddenSize, vocabSize, rmsNormEps } = teacher.model.config
const [sequences, positions] = [8, 24]
const all = sequences * positions
const rowsOf = (offset: number) => acceptedWindow(teacher, offset).rows
const load = (graph: Uint8Array): Promise<InferenceSession> => loadSession(graph, { threads: 1, name: 'test' })

/** So many rows of all pieces together weigh something, not all the same. */
function weighted(counting: number): Piece[] {
  return Array.from({ length: sequences }, (_, sequence) => {
    const weights = Float32Array.from({ length: positions }, (__, row) => {
      const place = (row * sequences + sequence) * 7
      return place % all < counting ? 1 + (place % 3) : 0
    })
    return { rows: rowsOf(sequence), from: 0, to: positions, weights }
  })
}

/** The gradients of one step on `engine`. */
async function gradientsOf(
  engine: TrainingEngine,
  step: (engine: TrainingEngine) => Promise<unknown>,
): Promise<ReadonlyMap<string, Float32Array>> {
  const found = new Map<string, Float32Array>()
  await step({
    run: async (feeds) => {
      const outputs = await engine.run(feeds)
      for (const [name, { data }] of Object.entries(outputs)) found.set(name, Float32Array.from(data as Float32Array))
      return outputs
    },
  })
  return found
}

const head = withLayer(
  initialFeatureHead(
    { hiddenSize, vocabSize, rmsNormEps, bilinearFeatures: 0, layer: undefined },
    teacher.model.target,
    seededRandom(1),
  ),
  { heads: 2, headDim: 8, intermediateSize: 24, ropeTheta: 10_000, contextPositions: 24 },
  seededRandom(2),
)
const target = prepareDraftTarget(teacher.model.target, head.config)
const draft = initialCausalDraft(
  causalDraftShape(teacher.model.config, undefined, { hiddenSize: 16, layers: 1 }),
  seededRandom(1),
)
const headShape = { sequences, positions, listedTokens: 16 }
const draftShape = { sequences, positions, targetsPerRow: 16 }

const kinds = {
  'feature head': {
    graph: (selected: { selectedRows?: number }) =>
      buildFeatureHeadTrainGraph(head.config, { ...headShape, ...selected }, 'tv'),
    step: (engine: TrainingEngine, pieces: Piece[], selected: { selectedRows?: number }) =>
      new FeatureHeadTraining(head, target, engine, { ...headShape, ...selected }).step(pieces),
  },
  'causal draft': {
    graph: (selected: { selectedRows?: number }) =>
      buildTrainGraph(draft.config.model, { ...draftShape, ...selected }, { loss: 'tv' }).model,
    step: (engine: TrainingEngine, pieces: Piece[], selected: { selectedRows?: number }) =>
      new CausalDraftTraining(draft, engine, { ...draftShape, ...selected }).step(pieces),
  },
}

test.each(
  (['feature head', 'causal draft'] as const).flatMap((kind) =>
    [
      [1, 48],
      [48, 48],
      [49, 96],
      [100, 144],
      [all, all],
    ].map(([counting, size]) => [kind, counting!, size!] as const),
  ),
)(
  'a %s of which %i rows count takes %i to its head, and has the gradients of the plain weighted step',
  async (kind, counting, size) => {
    const { graph, step } = kinds[kind]
    const pieces = weighted(counting)
    const plain = await load(graph({}))
    const graphs = new StepGraphs(all, (selectedRows) => load(graph({ selectedRows })))
    const expected = await gradientsOf(plain, (engine) => step(engine, pieces, {}))
    const found = await gradientsOf(graphs, (engine) => step(engine, pieces, { selectedRows: all }))
    expect(graphs.sizes).toEqual([size])
    expect([...found.keys()].toSorted()).toEqual([...expected.keys()].toSorted())
    for (const [name, values] of expected) {
      const scale = values.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-6)
      const difference = values.reduce((most, value, i) => Math.max(most, Math.abs(value - found.get(name)![i]!)), 0)
      expect(`${name} ${difference < 1e-5 * scale}`).toBe(`${name} true`)
    }
    await plain.release()
    await graphs.release()
  },
)
