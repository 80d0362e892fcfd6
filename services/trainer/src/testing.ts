/** For tests: a small random teacher whose next hidden state depends on the token and the state, and its windows. */
import { fileStore, generateSigningKey, type CheckpointStore } from '@plateau/checkpoints'
import {
  Arm,
  Decision,
  encodeHeaders,
  FloatFormat,
  packFloats,
  packTopK,
  TokenWindow,
  topics,
  TrainingWindow,
} from '@plateau/contracts'
import type { EventLog, Lease, NewRecord, Producer } from '@plateau/event-log'
import type { DraftTargetModel } from '@plateau/model-files'
import { sampleIndex, seededRandom } from '@plateau/speculation'
import { MetricRegistry, silentLogger } from '@plateau/telemetry'
import { DraftLine } from './draft-line.js'
import { declareTrainerMetrics } from './metrics.js'
import { PolicyPublisher } from './policy/policy-publisher.js'
import { ServingVerdicts } from './serving-verdicts.js'
import { Trainer, type TrainerOptions } from './trainer.js'
import { acceptRecord, expectationsOf, type AcceptedRecord } from './training-record.js'
import type { DraftKind } from './kinds/draft-kind.js'
import { causalLmKind } from './kinds/causal-lm/causal-lm-kind.js'
import { type DraftKindOptions } from './kinds/draft-kinds.js'
import { readWarmStart } from './kinds/warm-start.js'
import { featureHeadKind } from './kinds/feature-head/feature-head-kind.js'

const H = 16
const V = 48
const K = 16

export const BILINEAR_FEATURES = 32

/** Seeds differ: domains. The embeddings, norm and head are those of one target. */
export class Teacher {
  readonly model: DraftTargetModel
  readonly #map: Float32Array
  readonly #random: () => number

  constructor(seed = 1) {
    const shared = normals(seededRandom(99))
    const norm = shared(H).map((x) => 1 + 0.2 * x)
    const target = { embeddings: shared(V * H), head: shared(V * H).map((x) => 0.6 * x), norm }
    this.model = {
      modelId: 'teacher',
      fingerprint: 'f'.repeat(64),
      tokenizerHash: 'e'.repeat(64),
      format: 'safetensors',
      parameterCount: 0,
      storedTensors: [],
      tokenizerJson: Buffer.from('{}'),
      config: {
        vocabSize: V,
        hiddenSize: H,
        layers: 1,
        heads: 1,
        kvHeads: 1,
        headDim: H,
        intermediateSize: H,
        rmsNormEps: 1e-5,
        ropeTheta: 10_000,
        maxPositions: 64,
        tieEmbeddings: false,
        bosTokenId: undefined,
        eosTokenIds: [],
      },
      target,
    }
    this.#random = seededRandom(seed)
    this.#map = normals(seededRandom(seed + 1000))(2 * H * H)
  }

  /** `noise`: share of positions whose state comes of nothing and has a flat distribution. */
  window(sampleId: string, positions = 24, noise = 0): TokenWindow {
    let token = Math.floor(this.#random() * V)
    let state = this.#anyState()
    const lead = { token, state }
    const states: number[] = []
    const ids: number[] = []
    const listedIds: number[] = []
    const listedProbs: number[] = []
    const tail: number[] = []
    for (let i = 0; i < positions; i++) {
      state = noise > 0 && this.#random() < noise ? this.#flatState() : this.#next(token, state)
      const weights = this.#weightsOf(state)
      const mass = weights.reduce((sum, weight) => sum + weight, 0)
      const p = weights.map((weight, v) => ({ v, p: weight / mass })).toSorted((a, b) => b.p - a.p)
      listedIds.push(...p.slice(0, K).map(({ v }) => v))
      listedProbs.push(...p.slice(0, K).map((entry) => entry.p))
      tail.push(p.slice(K).reduce((sum, entry) => sum + entry.p, 0))
      token = sampleIndex(weights, this.#random())
      ids.push(token)
      states.push(...state)
    }
    const half = FloatFormat.FLOAT_FORMAT_FP16
    return TokenWindow.fromPartial({
      provenance: {
        schemaVersion: 1,
        targetFingerprint: this.model.fingerprint,
        tokenizerHash: this.model.tokenizerHash,
        draftVersion: '',
      },
      sampleId,
      vocabSize: V,
      capturedAtMs: Date.now(),
      tokenIds: ids,
      top: packTopK(listedIds, listedProbs, K, half),
      tailMass: tail,
      features: packFloats(states, half),
      featureSize: H,
      featureFormat: half,
      hasLead: true,
      leadTokenId: lead.token,
      leadFeature: packFloats(lead.state, half),
    })
  }

  /** Of each token. */
  #weightsOf(state: Float64Array): number[] {
    const { head } = this.model.target
    return Array.from({ length: V }, (_, v) => {
      let logit = 0
      for (let d = 0; d < H; d++) logit += head[v * H + d]! * state[d]!
      return Math.exp(logit)
    })
  }

  #anyState(): Float64Array {
    return this.#normed(Float64Array.from({ length: H }, () => this.#random() - 0.5))
  }

  #flatState(): Float64Array {
    const peak = (state: Float64Array): number => {
      const weights = this.#weightsOf(state)
      return Math.max(...weights) / weights.reduce((sum, weight) => sum + weight, 0)
    }
    const states = Array.from({ length: 24 }, () => this.#anyState())
    return states.reduce((flattest, state) => (peak(state) < peak(flattest) ? state : flattest))
  }

  #next(token: number, state: Float64Array): Float64Array {
    const { embeddings } = this.model.target
    const row = [...embeddings.subarray(token * H, (token + 1) * H), ...state]
    const next = new Float64Array(H)
    for (let o = 0; o < H; o++) {
      for (let i = 0; i < 2 * H; i++) next[o]! += this.#map[o * 2 * H + i]! * row[i]!
    }
    // Not linear, so that the closed form does not solve it exactly.
    return this.#normed(next.map((x) => Math.tanh(x / 3)))
  }

  #normed(x: Float64Array): Float64Array {
    const rms = Math.sqrt(x.reduce((sum, value) => sum + value * value, 0) / H)
    return x.map((value, i) => (value / rms) * this.model.target.norm[i]!)
  }
}

function normals(random: () => number): (n: number) => Float32Array {
  return (n) =>
    Float32Array.from({ length: n }, () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random()))
}

export interface RecordOptions {
  readonly arm?: Arm
  readonly keep?: boolean
  readonly id?: string
  readonly weights?: readonly number[]
  readonly gradientWeights?: readonly number[]
  readonly keptBy?: readonly string[]
  readonly policy?: string
}

export function trainingRecord(window: TokenWindow, options: RecordOptions = {}): NewRecord {
  const { arm = Arm.ARM_SELECTED, keep = true } = options
  const message = TrainingWindow.fromPartial({
    window,
    arm,
    decision: keep && arm !== Arm.ARM_EVALUATION ? Decision.DECISION_KEEP : Decision.DECISION_DROP,
    weights: [...(options.weights ?? window.tokenIds.map(() => 1))],
    policy: options.policy ?? 'test',
    gradientWeights: [...(options.gradientWeights ?? [])],
    keptBy: [...(options.keptBy ?? [])],
  })
  return {
    key: window.sampleId,
    value: TrainingWindow.encode(message).finish(),
    headers: encodeHeaders({
      id: options.id ?? `${window.sampleId}/${window.windowIndex}`,
      source: '/test',
      type: topics.trainingWindows.messageType,
      timeMs: 0,
    }),
  }
}

/** Samples "<prefix>0", "<prefix>1", ...; every fifth is held out. */
export function records(teacher: Teacher, prefix: string, count: number): NewRecord[] {
  return Array.from({ length: count }, (_, i) =>
    trainingRecord(teacher.window(`${prefix}${i}`), {
      arm: i % 5 === 4 ? Arm.ARM_EVALUATION : Arm.ARM_SELECTED,
      keep: i % 2 === 0,
    }),
  )
}

/** A window as the intake hands it on; its place is `offset` in partition 0. */
export function acceptedWindow(teacher: Teacher, offset: number, options: RecordOptions = {}): AcceptedRecord {
  const record = trainingRecord(teacher.window(`s${offset}`), options)
  return acceptRecord({ topic: 't', partition: 0, offset, timestampMs: 0, ...record }, expectationsOf(teacher.model))
}

export const key = generateSigningKey()

export type BenchOptions = TrainerOptions &
  Omit<DraftKindOptions, 'model'> & { readonly learnPolicy: boolean; readonly keepVersions: number }

export const defaults: BenchOptions = {
  draft: 'feature-head',
  checkpointDtype: 'F16',
  bilinearFeatures: BILINEAR_FEATURES,
  draftVocabulary: 0,
  causalLmHiddenSize: 16,
  causalLmLayers: 1,
  lineage: 'default',
  learnPolicy: false,
  keepVersions: 100,
  weightBins: 'flatness',
  ridgeLambda: 3,
  halfLifePositions: 1e15,
  sumCells: 8,
  priorPositions: 1000,
  warmStart: undefined,
  gradients: false,
  gradientShare: 1,
  loss: 'tv',
  unrollSteps: 1,
  trialStrategies: [],
  trialKeep: 0.5,
  learningRate: 1e-3,
  replayPositions: 4000,
  evaluationPositions: 1500,
  evaluationMaxAgeMs: 3_600_000,
  minPublishMs: 0,
  snapshotMs: 50,
  threads: 1,
  executionProvider: 'cpu',
  firstSolvePositions: 300,
  testFirstPositions: 0,
}

export const headKind = (model: DraftTargetModel, options: BenchOptions = defaults) => featureHeadKind(options, model)

/** Hands the kind that the options name to `use`. */
export async function useKind<T>(
  model: DraftTargetModel,
  { warmStart, ...options }: BenchOptions,
  use: <Model>(kind: DraftKind<Model>) => Promise<T>,
): Promise<T> {
  const warm = warmStart === undefined ? undefined : await readWarmStart(warmStart, model)
  return options.draft === 'causal-lm'
    ? use(causalLmKind({ ...options, warm }, model))
    : use(featureHeadKind({ ...options, warm }, model))
}

export interface Bench {
  readonly store: CheckpointStore
  readonly line: DraftLine<unknown>
  readonly trainer: Trainer<unknown>
  readonly producer: Producer
  readonly metrics: ReturnType<typeof declareTrainerMetrics>
}

export async function openBench(
  log: EventLog,
  directory: string,
  model: DraftTargetModel,
  changes: Partial<BenchOptions> = {},
  wrap: {
    readonly store?: (store: CheckpointStore) => CheckpointStore
    readonly producer?: (producer: Producer) => Producer
    /** Default: nobody else writes the lineage. */
    readonly lease?: Lease
  } = {},
): Promise<Bench> {
  const { store: wrapStore = (store) => store, producer: wrapProducer = (producer) => producer } = wrap
  const lease = wrap.lease ?? { epoch: 0, lost: new AbortController().signal }
  const store = wrapStore(fileStore(directory))
  const producer = wrapProducer(log.producer())
  const lineageProducer = wrap.lease?.producer ?? producer
  const metrics = declareTrainerMetrics(new MetricRegistry())
  const options = { ...defaults, ...changes }
  const opened = await useKind(model, options, async (kind) => {
    const verdicts = new ServingVerdicts({ log, lineage: options.lineage, logger: silentLogger, metrics })
    const around = { kind, log, producer, store, model, verdicts, logger: silentLogger, clock: Date.now }
    const line = await DraftLine.open(
      { lineage: options.lineage, keepVersions: options.keepVersions, codeVersion: 'test' },
      { ...around, producer: lineageProducer, key },
    )
    const policy = options.learnPolicy
      ? await PolicyPublisher.open({ ...around, metrics, lineage: options.lineage, producer: lineageProducer })
      : undefined
    return { line, trainer: await Trainer.open(options, { ...around, lease, line, policy, metrics }) }
  })
  return { store, producer, metrics, ...opened }
}
