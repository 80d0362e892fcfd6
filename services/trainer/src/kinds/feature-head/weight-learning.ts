import type { FeatureHead } from '@plateau/causal-lm'
import { binCount, binPlaces, type BinEdges } from '@plateau/flatness'
import type { DraftTarget } from '@plateau/inference'
import {
  searchBinWeights,
  weightedSums,
  type BinWeightSearch,
  type LearnedBinWeights,
  type RidgeSums,
} from '@plateau/training'
import type { Logger } from '@plateau/telemetry'
import type { ComparedWindows } from '../../held-back.js'
import type { TrainerMetrics } from '../../metrics.js'
import type { PolicySink } from '../../policy/policy-parts.js'
import { positionsOf } from '../../recent-windows.js'
import type { AcceptedRecord } from '../../training-record.js'
import type { SelectionLearning } from '../draft-kind.js'
import { BinSums, mostBinCells, type BinSumsOptions } from './bin-sums.js'
import type { StreamedSumsState } from './streamed-sums.js'
import { WeightSchedule } from './weight-schedule.js'

export interface WeightLearningParts {
  readonly policy: Pick<PolicySink, 'closedForm'>
  readonly metrics: Pick<TrainerMetrics, 'weightLearnings'>
  readonly logger: Logger
  readonly clock: () => number
  /** How one search scores: with the tokens that drafts propose from now. */
  readonly scoring: () => SumsScoring
}

/** Alpha of every row of `unseen` by what the sums solve to, calibrated on `calibration`. Throws RangeError. */
export type SumsScoring = (sums: RidgeSums, windows: ComparedWindows) => Promise<ArrayLike<number>>

export interface WeightLearningState {
  readonly bins: BinEdges
  readonly newPositions: number
  /** As of the last time; undefined before the first. */
  readonly learned: LearnedBinWeights | undefined
  readonly sums: StreamedSumsState
}

/** Weights that are tried each time: a solution, its calibration and a scoring each. */
const EVALUATIONS = 16
/** Fewer held-out positions, in fewer windows, would prove nothing. */
const LEAST_POSITIONS = 512
const LEAST_WINDOWS = 8

/** One search: what it is on does not change while it goes on. */
interface Search {
  readonly turns: ReturnType<typeof searchBinWeights>
  readonly sums: readonly RidgeSums[]
  readonly windows: ComparedWindows
  readonly alphaOf: SumsScoring
  /** To be tried next. */
  weights: readonly number[]
}

/**
 * Learns what positions should count in the closed form, by bin, and says so to the policy. All bins count alike until
 * held-out positions say otherwise. A search takes many solutions: each is one piece of work, and between two of them the
 * trainer goes on.
 */
export class WeightLearning implements SelectionLearning {
  readonly #bins: BinEdges
  readonly #parts: WeightLearningParts
  readonly #sums: BinSums
  readonly #schedule: WeightSchedule
  #learned: LearnedBinWeights | undefined
  #search: Search | undefined

  private constructor(
    { bins, halfLifePositions }: BinSumsOptions,
    parts: WeightLearningParts,
    sums: BinSums,
    saved: WeightLearningState | undefined,
  ) {
    this.#bins = bins
    this.#parts = parts
    this.#sums = sums
    this.#schedule = new WeightSchedule(halfLifePositions, saved?.newPositions)
    this.#learned = saved?.learned
  }

  /** What was saved of other bins is left. */
  static async open(
    base: FeatureHead,
    target: DraftTarget,
    options: BinSumsOptions,
    parts: WeightLearningParts,
    saved: WeightLearningState | undefined,
  ): Promise<WeightLearning> {
    const ours = JSON.stringify(saved?.bins) === JSON.stringify(options.bins) ? saved : undefined
    return new WeightLearning(options, parts, await BinSums.open(base, target, options, ours?.sums), ours)
  }

  async add(window: AcceptedRecord): Promise<void> {
    await this.#sums.add(window)
    this.#schedule.add(window.rows.length)
  }

  isDue(): boolean {
    return this.#schedule.isDue(this.#parts.clock())
  }

  async learn(windows: ComparedWindows): Promise<void> {
    const { clock, logger } = this.#parts
    const startedMs = clock()
    try {
      this.#search ??= await this.#begun(windows)
      if (this.#search === undefined) return this.#schedule.failed(clock())
      await this.#goOn(this.#search)
      this.#schedule.worked(clock(), clock() - startedMs)
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      logger.warn('weights of bins not learned', { error })
      this.#search = undefined
      this.#schedule.failed(clock())
    }
  }

  /** As if the tenant had never been seen: what was learned with it is not known any more. */
  async forget(tenant: string): Promise<void> {
    await this.#sums.forget(tenant)
    this.#search = undefined
    if (this.#learned === undefined) return
    this.#learned = undefined
    const weights = Array.from({ length: binCount(this.#bins) }, () => 1)
    this.#tell({ weights, gain: 0, standardError: 0 }, 0, BEGUN_AGAIN)
  }

  async state(): Promise<WeightLearningState> {
    return {
      bins: this.#bins,
      newPositions: this.#schedule.newPositions,
      learned: this.#learned,
      sums: await this.#sums.state(),
    }
  }

  release(): Promise<void> {
    return this.#sums.release()
  }

  /** Undefined: too little is held out. */
  async #begun(windows: ComparedWindows): Promise<Search | undefined> {
    const { unseen } = windows
    if (unseen.length < LEAST_WINDOWS || positionsOf(unseen) < LEAST_POSITIONS) return undefined
    const sums = await this.#sums.totals()
    const turns = searchBinWeights({
      coordinates: binPlaces(this.#bins),
      mass: sums.map(({ weight }) => weight),
      windowLengths: unseen.map(({ length }) => length),
      evaluations: EVALUATIONS,
      previous: this.#learned,
    })
    this.#schedule.begin()
    return { turns, sums, windows, alphaOf: this.#parts.scoring(), weights: turns.next().value as readonly number[] }
  }

  async #goOn(search: Search): Promise<void> {
    const { turns, sums, windows, alphaOf, weights } = search
    const turn = turns.next(await alphaOf(weightedSums(sums, weights), windows))
    if (turn.done !== true) search.weights = turn.value
    else this.#found(turn.value, positionsOf(windows.unseen))
  }

  #found(found: BinWeightSearch, positions: number): void {
    const { metrics } = this.#parts
    const { weights, gain, standardError, isChanged } = found
    this.#search = undefined
    this.#schedule.learned()
    this.#learned = { weights, gain, standardError }
    metrics.weightLearnings.add({ result: isChanged ? 'changed' : 'kept' })
    this.#tell(this.#learned, positions, evidenceOf(found, positions))
  }

  #tell({ weights, gain, standardError }: LearnedBinWeights, count: number, evidence: string): void {
    const binWeights = {
      effectiveTokens: [...this.#bins.effectiveTokens],
      draftGap: [...this.#bins.draftGap],
      weights: [...weights],
    }
    this.#parts.policy.closedForm({ binWeights, gain: { gain, standardError, count }, evidence })
  }
}

/** Of full size, at most: those of the sums, a search's own of each bin, and two that a solve works on. */
export function cellsOfLearning(bins: BinEdges): number {
  return mostBinCells(bins) + binCount(bins) + 2
}

const BEGUN_AGAIN = 'Closed form: all bins alike, learned anew after a tenant was forgotten.'

function evidenceOf({ weights, gain, standardError, tried }: BinWeightSearch, positions: number): string {
  const on = `on ${positions} held-out positions`
  if (weights.every((weight) => weight === 1)) {
    const best = `the best other weights tried: ${signed(tried.gain)} ± ${rounded(tried.standardError)}`
    return `Closed form: all bins alike, nothing gains beyond noise ${on} (${best}).`
  }
  const said = weights.map((weight) => weight.toFixed(2)).join(' ')
  return `Closed form: bins weigh ${said}, alpha ${signed(gain)} ± ${rounded(standardError)} over all alike ${on}.`
}

function signed(gain: number): string {
  return `${gain < 0 ? '' : '+'}${rounded(gain)}`
}

function rounded(value: number): string {
  return value.toFixed(4)
}
