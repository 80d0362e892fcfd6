import {
  buildFeatureHeadTrainGraph,
  featureHeadParameter,
  withLayer,
  type FeatureHead,
  type FeatureHeadLayer,
} from '@plateau/causal-lm'
import { loadSession, type DraftRows, type DraftTarget, type InferenceSession } from '@plateau/inference'
import {
  FeatureHeadTraining,
  ReplayWindow,
  type DraftStepReport,
  type FeatureHeadTrainingState,
  type Piece,
} from '@plateau/training'
import type { RecordPlace } from './training-record.js'

export interface GradientOptions {
  readonly loss: 'kl' | 'tv'
  readonly learningRate: number
  readonly replayPositions: number
  readonly threads: number
  readonly random: () => number
}

export interface GradientStepReport extends DraftStepReport {
  readonly freshPositions: number
  readonly replayedPositions: number
}

export interface ReplayedPlace extends RecordPlace {
  readonly uses: number
}

const SHAPE = { sequences: 8, positions: 64, listedTokens: 32 }
const MAX_USES = 6
const REPLAY_SHARE = 0.25

interface Item {
  readonly place: RecordPlace
  readonly piece: Piece
}

/** Gradient steps over kept windows, on top of the closed form's newest solution. */
export class GradientStage {
  readonly #session: InferenceSession
  readonly #training: FeatureHeadTraining
  readonly #options: GradientOptions
  readonly #replay: ReplayWindow<Item>
  /** The closed form's projection that training stands on. */
  #projection: Float32Array

  private constructor(
    session: InferenceSession,
    training: FeatureHeadTraining,
    options: GradientOptions,
    start: FeatureHead,
  ) {
    this.#session = session
    this.#training = training
    this.#options = options
    this.#projection = featureHeadParameter(start, 'fc.weight')
    this.#replay = new ReplayWindow({
      maxPositions: options.replayPositions,
      maxUses: MAX_USES,
      replayShare: REPLAY_SHARE,
    })
  }

  /** `start`: a solution of the closed form. */
  static async open(start: FeatureHead, target: DraftTarget, options: GradientOptions): Promise<GradientStage> {
    const head = withLayer(start, layerFor(start.config.hiddenSize), options.random)
    const shape = { ...SHAPE, listedTokens: Math.min(SHAPE.listedTokens, head.config.vocabSize - 1) }
    const graph = buildFeatureHeadTrainGraph(head.config, shape, options.loss)
    const session = await loadSession(graph, { threads: options.threads, name: 'draft training step' })
    const training = new FeatureHeadTraining(head, target, session, shape, { learningRate: options.learningRate })
    return new GradientStage(session, training, options, start)
  }

  get head(): FeatureHead {
    return this.#training.head
  }

  get steps(): number {
    return this.#training.steps
  }

  /** A kept window may be drawn from now on. `uses` > 0: it was fresh in an earlier life of this process. */
  push(place: RecordPlace, rows: DraftRows, uses = 0): void {
    for (let from = 0; from < rows.length; from += SHAPE.positions) {
      const to = Math.min(rows.length, from + SHAPE.positions)
      this.#replay.push({ place, piece: { rows, from, to } }, to - from, uses)
    }
  }

  /** Undefined when there is nothing left to learn from. */
  async step(): Promise<GradientStepReport | undefined> {
    const drawn = this.#replay.draw(SHAPE.sequences, this.#options.random)
    if (drawn.length === 0) return undefined
    const report = await this.#training.step(drawn.map(({ item }) => item.piece))
    const sizeOf = (fresh: boolean): number =>
      drawn.filter((one) => one.fresh === fresh).reduce((sum, { size }) => sum + size, 0)
    return { ...report, freshPositions: sizeOf(true), replayedPositions: sizeOf(false) }
  }

  /** The closed form has a new solution. */
  rebase(solution: FeatureHead): void {
    const projection = featureHeadParameter(solution, 'fc.weight')
    this.#training.shiftProjection(projection.map((value, i) => value - this.#projection[i]!))
    this.#projection = projection
  }

  /** Gradients led astray: begin again from the closed form. */
  restart(solution: FeatureHead): void {
    this.#projection = featureHeadParameter(solution, 'fc.weight')
    this.#training.restart(withLayer(solution, layerFor(solution.config.hiddenSize), this.#options.random))
  }

  get state(): FeatureHeadTrainingState {
    return this.#training.state
  }

  get projection(): Float32Array {
    return this.#projection
  }

  load(state: FeatureHeadTrainingState, projection: Float32Array): void {
    this.#training.load(state)
    this.#projection = projection
  }

  /** One entry per record: a record is used as often as its most used part. */
  get places(): ReplayedPlace[] {
    const places = new Map<string, ReplayedPlace>()
    for (const { item, uses } of this.#replay.items) {
      const key = `${item.place.partition}/${item.place.offset}`
      places.set(key, { ...item.place, uses: Math.max(uses, places.get(key)?.uses ?? 0) })
    }
    return [...places.values()]
  }

  release(): Promise<void> {
    return this.#session.release()
  }
}

/** One Llama layer of the target's width. */
function layerFor(hiddenSize: number): FeatureHeadLayer {
  const headDim = Math.min(64, hiddenSize - (hiddenSize % 2))
  return {
    heads: Math.max(1, Math.round(hiddenSize / headDim)),
    headDim,
    intermediateSize: 8 * Math.max(1, Math.round(hiddenSize / 3)),
    ropeTheta: 10_000,
    contextPositions: 64,
  }
}
