import type { FeatureHead, FeatureHeadConfig, FeatureHeadLayer } from '@plateau/causal-lm'
import type {
  Draft,
  DraftSession,
  DraftStart,
  Proposal,
  Random,
  Sampling,
  SparseDistribution,
} from '@plateau/speculation'
import { embedRows, type DraftTarget } from '@plateau/training'
import { buildFeatureHead, type BuildFeatureHeadOptions, type BuiltFeatureHead } from './built-feature-head.js'
import { chooseToken, rawDistribution, type ListedLogits } from './choose-token.js'
import { float32, type FloatTensor, type HostTensor } from './host-tensor.js'
import { loadHeadEngine, type HeadEngine } from './head-engine.js'
import type { OutputHeads } from './output-heads.js'
import { warmUp } from './warm-up.js'

export interface OpenFeatureHeadOptions {
  readonly version: string
  /** Default 8. */
  readonly maxProposal?: number
  /** Default 1: a step is so short that waking a second thread costs more than it brings. */
  readonly threads?: number
  /** Where heads whose output head stands apart find it. */
  readonly outputs?: OutputHeads
}

export interface FeatureHeadDraftOptions extends OpenFeatureHeadOptions, BuildFeatureHeadOptions {}

/**
 * A feature-fed head, loaded for serving. Drafts a chain: its own predicted state takes the place of the target's for
 * every token after the first. Loading a new version beside an old one leaves the old one's sessions untouched.
 */
export class FeatureHeadDraft implements Draft {
  readonly version: string
  readonly maxProposal: number
  readonly #engine: HeadEngine
  readonly #config: FeatureHeadConfig
  readonly #target: DraftTarget

  private constructor(
    engine: HeadEngine,
    config: FeatureHeadConfig,
    target: DraftTarget,
    options: OpenFeatureHeadOptions,
  ) {
    this.#engine = engine
    this.#config = config
    this.#target = target
    this.version = options.version
    this.maxProposal = options.maxProposal ?? 8
  }

  /** Throws RangeError when the head does not fit its own configuration or its target. */
  static async load(
    head: FeatureHead,
    target: DraftTarget,
    options: FeatureHeadDraftOptions,
  ): Promise<FeatureHeadDraft> {
    return FeatureHeadDraft.fromBuilt(buildFeatureHead(head, target, options), target, options)
  }

  /** The part of `load` that needs the engine: short, and warm when it resolves. `target` is that of the building. */
  static async fromBuilt(
    built: BuiltFeatureHead,
    target: DraftTarget,
    options: OpenFeatureHeadOptions,
  ): Promise<FeatureHeadDraft> {
    const { version, threads = 1, outputs } = options
    const engine = await loadHeadEngine(built, outputs, { threads, name: `draft ${version}` })
    return warmUp(new FeatureHeadDraft(engine, built.config, target, options), target.norm.length)
  }

  open(start: DraftStart): DraftSession {
    const { layer } = this.#config
    const step =
      layer === undefined
        ? new MemorylessStep(this.#engine, this.#target)
        : new LayerStep(this.#engine, this.#target, layer)
    return new FeatureHeadSession(step, this.#target.norm.length, this.maxProposal, start)
  }

  release(): Promise<void> {
    return this.#engine.release()
  }
}

/** Pairs (token, feature row) of consecutive positions; features [tokens.length, H]. */
interface Pairs {
  readonly tokens: readonly number[]
  readonly features: Float32Array
}

interface Prediction extends ListedLogits {
  readonly hidden: Float32Array
}

/** Predicts the position after the last of some pairs. */
interface Step {
  /** How many of the newest pairs a prediction can depend on. */
  readonly contextPositions: number
  /** The pairs came from the target and stay. */
  confirm(pairs: Pairs): Promise<Prediction>
  /** The pair is a guess: forgotten at the next `confirm`. */
  guess(token: number, hidden: Float32Array): Promise<Prediction>
}

class FeatureHeadSession implements DraftSession {
  readonly #step: Step
  readonly #hidden: number
  readonly #maxProposal: number
  /** What the target emitted since the last proposal, round by round, as far back as the step can see. */
  #fresh: Pairs[]

  constructor(step: Step, hidden: number, maxProposal: number, start: DraftStart) {
    this.#step = step
    this.#hidden = hidden
    this.#maxProposal = maxProposal
    const rows = start.features.length / hidden
    if (!Number.isInteger(rows) || rows > start.tokens.length) {
      throw new RangeError(
        `${start.features.length} feature numbers do not fit ${start.tokens.length} tokens of ${hidden}`,
      )
    }
    this.#fresh = [{ tokens: start.tokens.slice(start.tokens.length - rows), features: start.features }]
  }

  async propose(count: number, sampling: Sampling, random: Random): Promise<Proposal> {
    const tokens: number[] = []
    const q: SparseDistribution[] = []
    const rawQ: SparseDistribution[] = []
    const wanted = Math.min(count, this.#maxProposal)
    // Without a feature there is nothing to predict from.
    const fresh = joined(this.#fresh)
    if (wanted <= 0 || fresh.tokens.length === 0) return { tokens, q, rawQ }
    let prediction = await this.#step.confirm(fresh)
    this.#fresh = [lastPair(fresh, this.#hidden)]
    for (;;) {
      const { token, distribution } = chooseToken(prediction, sampling, random, tokens)
      tokens.push(token)
      if (distribution !== undefined) q.push(distribution)
      rawQ.push(rawDistribution(prediction))
      if (tokens.length === wanted) return { tokens, q, rawQ }
      prediction = await this.#step.guess(token, prediction.hidden)
    }
  }

  adopt(tokens: readonly number[], features: Float32Array): void {
    if (features.length !== tokens.length * this.#hidden) {
      throw new RangeError(`${tokens.length} tokens came with ${features.length / this.#hidden} feature rows`)
    }
    if (tokens.length === 0) return
    this.#fresh.push({ tokens, features })
    let pairs = this.#fresh.reduce((sum, round) => sum + round.tokens.length, 0)
    // While speculation is off, rounds come in that nothing will look at.
    while (pairs - this.#fresh[0]!.tokens.length >= this.#step.contextPositions) {
      pairs -= this.#fresh.shift()!.tokens.length
    }
  }

  close(): void {
    this.#fresh = []
  }
}

/** The last confirmed pair stays: a round without new tokens predicts from it again. */
function lastPair(pairs: Pairs, hidden: number): Pairs {
  return { tokens: pairs.tokens.slice(-1), features: pairs.features.slice(-hidden) }
}

function joined(rounds: readonly Pairs[]): Pairs {
  if (rounds.length === 1) return rounds[0]!
  const features = new Float32Array(rounds.reduce((sum, round) => sum + round.features.length, 0))
  let at = 0
  for (const round of rounds) {
    features.set(round.features, at)
    at += round.features.length
  }
  return { tokens: rounds.flatMap((round) => round.tokens), features }
}

async function predict(engine: HeadEngine, feeds: Record<string, HostTensor>) {
  const outputs = await engine.run(feeds)
  const prediction: Prediction = {
    hidden: (outputs['hidden'] as FloatTensor).data,
    topIds: outputs['top_ids']!.data as Int32Array,
    topLogits: (outputs['top_logits'] as FloatTensor).data,
    logSumExp: (outputs['log_sum_exp'] as FloatTensor).data[0]!,
  }
  return { prediction, outputs }
}

/** Without a layer only the newest pair matters. The arrays that are fed are the same ones at every step. */
class MemorylessStep implements Step {
  readonly contextPositions = 1
  readonly #engine: HeadEngine
  readonly #target: DraftTarget
  readonly #feeds: { readonly token: FloatTensor; readonly feature: FloatTensor }

  constructor(engine: HeadEngine, target: DraftTarget) {
    const h = target.norm.length
    const row = (): FloatTensor => float32(new Float32Array(h), [1, h])
    this.#engine = engine
    this.#target = target
    this.#feeds = { token: row(), feature: row() }
  }

  confirm({ tokens, features }: Pairs): Promise<Prediction> {
    return this.guess(tokens.at(-1)!, features.subarray(features.length - this.#target.norm.length))
  }

  async guess(token: number, hidden: Float32Array): Promise<Prediction> {
    embedRows(this.#target, [token], this.#feeds.token.data, 0)
    this.#feeds.feature.data.set(hidden)
    return (await predict(this.#engine, this.#feeds)).prediction
  }
}

/**
 * Keys and values of the last C positions in a ring: position t lies in slot t mod C, so that a guess is overwritten by
 * what the target emits at its position. Which slots may be attended to follows from the position each one holds.
 */
class LayerStep implements Step {
  readonly contextPositions: number
  readonly #engine: HeadEngine
  readonly #target: DraftTarget
  readonly #layer: FeatureHeadLayer
  readonly #pastKey: FloatTensor
  readonly #pastValue: FloatTensor
  /** Per slot the position it holds; -1 = nothing. */
  readonly #held: Int32Array
  /** Positions confirmed so far. */
  #confirmed = 0
  #guessed = 0
  #started = false

  constructor(engine: HeadEngine, target: DraftTarget, layer: FeatureHeadLayer) {
    const shape = [layer.heads, layer.contextPositions, layer.headDim]
    const buffer = (): FloatTensor => float32(new Float32Array(shape.reduce((a, b) => a * b, 1)), shape)
    this.#engine = engine
    this.#target = target
    this.#layer = layer
    this.contextPositions = layer.contextPositions
    this.#pastKey = buffer()
    this.#pastValue = buffer()
    this.#held = new Int32Array(layer.contextPositions).fill(-1)
  }

  async confirm(pairs: Pairs): Promise<Prediction> {
    // From the second round on, the first pair is the one that was confirmed last: same position, same content. If it has
    // been left out, so many pairs follow that every slot is written anew, and only distances matter.
    if (this.#started) this.#confirmed--
    this.#started = true
    const { contextPositions: c } = this.#layer
    const h = this.#target.norm.length
    // What lies further back than the context is never attended to.
    const skipped = Math.max(0, pairs.tokens.length - c)
    this.#confirmed += skipped
    const tokens = pairs.tokens.slice(skipped)
    const prediction = await this.#run(tokens, pairs.features.subarray(skipped * h), this.#confirmed)
    this.#confirmed += tokens.length
    this.#guessed = 0
    return prediction
  }

  guess(token: number, hidden: Float32Array): Promise<Prediction> {
    return this.#run([token], hidden, this.#confirmed + this.#guessed++)
  }

  async #run(tokens: readonly number[], features: Float32Array, position: number): Promise<Prediction> {
    const h = this.#target.norm.length
    const rows = tokens.length
    const token = new Float32Array(rows * h)
    embedRows(this.#target, tokens, token, 0)
    const { prediction, outputs } = await predict(this.#engine, {
      token: float32(token, [rows, h]),
      feature: float32(features, [rows, h]),
      ...this.#rotation(rows, position),
      past_key: this.#pastKey,
      past_value: this.#pastValue,
      mask: this.#mask(rows, position),
    })
    this.#store((outputs['key'] as FloatTensor).data, this.#pastKey.data, rows, position)
    this.#store((outputs['value'] as FloatTensor).data, this.#pastValue.data, rows, position)
    for (let row = 0; row < rows; row++) this.#held[(position + row) % this.#held.length] = position + row
    return prediction
  }

  #rotation(rows: number, position: number): { cos: FloatTensor; sin: FloatTensor } {
    const { headDim, ropeTheta } = this.#layer
    const half = headDim / 2
    const cos = new Float32Array(rows * half)
    const sin = new Float32Array(rows * half)
    for (let row = 0; row < rows; row++) {
      for (let i = 0; i < half; i++) {
        const angle = (position + row) / ropeTheta ** ((2 * i) / headDim)
        cos[row * half + i] = Math.cos(angle)
        sin[row * half + i] = Math.sin(angle)
      }
    }
    return { cos: float32(cos, [rows, half]), sin: float32(sin, [rows, half]) }
  }

  /** 0 where a row may look, -1e9 elsewhere: at slots that hold an earlier position in reach, at new rows up to itself. */
  #mask(rows: number, position: number): FloatTensor {
    const c = this.#held.length
    const mask = new Float32Array(rows * (c + rows)).fill(-1e9)
    for (let row = 0; row < rows; row++) {
      const start = row * (c + rows)
      for (let slot = 0; slot < c; slot++) {
        const held = this.#held[slot]!
        if (held >= 0 && held < position && held > position + row - c) mask[start + slot] = 0
      }
      mask.fill(0, start + c, start + c + row + 1)
    }
    return float32(mask, [rows, c + rows])
  }

  /** New rows [heads, rows, D] to their slots of [heads, C, D]. */
  #store(fresh: Float32Array, ring: Float32Array, rows: number, position: number): void {
    const { heads, headDim: d, contextPositions: c } = this.#layer
    for (let head = 0; head < heads; head++) {
      for (let row = 0; row < rows; row++) {
        const from = (head * rows + row) * d
        ring.set(fresh.subarray(from, from + d), (head * c + ((position + row) % c)) * d)
      }
    }
  }
}
