import { binDirections, massMean, type BinDirection } from './bin-directions.js'
import { gainOfWindows, windowSums, type PairedGain } from './paired-gain.js'
import { RunningGain } from './running-gain.js'

export interface BinWeightProblem {
  /** Per bin its place in each dimension (flatness, draft gap, ...); NaN: it has none there. */
  readonly coordinates: readonly (readonly number[])[]
  /** Per bin the weight of what was summed in it. */
  readonly mass: readonly number[]
  /** Of the held-out windows, in positions. What belongs together (one response, say) is one window. */
  readonly windowLengths: readonly number[]
  /** Most weights that are tried; each costs a solution and a scoring. At least 3. */
  readonly evaluations: number
  /** What the last search found. */
  readonly previous?: LearnedBinWeights | undefined
}

/** With what the weights gain over all equal; 0 for all equal. */
export interface LearnedBinWeights extends PairedGain {
  /** Per bin, in [0, 8]; their mean over the mass is 1 where none is 8. */
  readonly weights: readonly number[]
}

export interface BinWeightSearch extends LearnedBinWeights {
  /** Other weights than before. */
  readonly isChanged: boolean
  /** What the best ones found gain over all equal on windows that did not choose them, taken or not. */
  readonly tried: PairedGain
  /** Weights that were tried. */
  readonly evaluations: number
}

interface Candidate {
  /** Of the weights, natural; their level means nothing. */
  readonly logs: readonly number[]
  /** Per window the sum of alpha. */
  readonly alpha: readonly number[]
}

/** Asks for the alpha of weights. */
type Asking<Found> = Generator<readonly number[], Found, ArrayLike<number>>

/** A step must gain so many standard errors on the windows that it is chosen by. */
const STEP_ERRORS = 0.5
const SCALES = [1, 0.5]
/** Of a log weight, either way. */
const MOST_LOG = 4
/** No position of little mass shall dominate the sums. */
const MOST_WEIGHT = 8
/** What was measured a search ago counts half. */
const MEMORY = 0.5

/**
 * Looks for weights of bins that held-out positions like best. A generator: it yields weights and is to be sent the alpha
 * of each held-out position under them, calibrated; so the caller may take its time between two of them.
 *
 * Against fitting noise: the windows are split in two halves; a pattern search over the log weights climbs by one half
 * alone, another by the other half, and each one's choice is tested on the half that did not choose it. With g the gain of
 * both tests together over all equal and se its error, the choice is taken only if g > se; then it is the mean of the two
 * in log weights, drawn towards all equal by g^2 / (g^2 + se^2). Otherwise the previous weights stay as long as what
 * was measured of them, then and now, is a gain; else all are equal.
 */
export function* searchBinWeights(problem: BinWeightProblem): Asking<BinWeightSearch> {
  const { mass, windowLengths, evaluations, previous } = problem
  const directions = binDirections(problem.coordinates, mass)
  const tried = new Map<string, Candidate>()

  function* scored(logs: readonly number[], most: number): Asking<Candidate | undefined> {
    const weights = weightsOf(logs, mass)
    const key = weights.map((weight) => weight.toFixed(4)).join()
    const known = tried.get(key)
    if (known !== undefined || tried.size >= most) return known
    const candidate = { logs, alpha: windowSums(yield weights, windowLengths) }
    tried.set(key, candidate)
    return candidate
  }

  const gainOver = (alpha: readonly number[], base: Candidate, isIn = (_window: number) => true): PairedGain => {
    const windows = [...windowLengths.keys()].filter(isIn)
    return gainOfWindows(
      windows.map((w) => alpha[w]! - base.alpha[w]!),
      windows.map((w) => windowLengths[w]!),
    )
  }

  /** As far as half `half` says that it gains. */
  function* climb(start: Candidate, half: number, most: number): Asking<Candidate> {
    let best = start
    for (const scale of SCALES) {
      for (const direction of directions) {
        for (const step of [scale, -scale]) {
          const from = best
          for (;;) {
            const next = yield* scored(moved(best.logs, direction, step), most)
            if (next === undefined) return best
            const { gain, standardError } = gainOver(next.alpha, best, (w) => w % 2 === half)
            if (!(gain > STEP_ERRORS * standardError)) break
            best = next
          }
          if (best !== from) break
        }
      }
    }
    return best
  }

  const equal = (yield* scored(
    mass.map(() => 0),
    evaluations,
  ))!
  const before = previous && isUneven(previous) ? yield* scored(logsOf(previous), evaluations) : undefined
  const chosen: Candidate[] = []
  // One evaluation is left for what is made of both.
  for (const [half, share] of [0.5, 1].entries()) {
    const isAhead = before !== undefined && gainOver(before.alpha, equal, (w) => w % 2 === half).gain > 0
    const most = tried.size + Math.floor(share * (evaluations - 1 - tried.size))
    chosen.push(yield* climb(isAhead ? before : equal, half, most))
  }
  const crossed = windowLengths.map((_, w) => chosen[1 - (w % 2)]!.alpha[w]!)
  const found = gainOver(crossed, equal)
  const about = { tried: found, evaluations: 0 }

  const remembered = before && runningGain(previous!, gainOver(before.alpha, equal))
  const held = remembered !== undefined && remembered.gain > 0 ? { ...previous!, ...remembered } : undefined
  const isNews = isProven(found) && (held === undefined || isProven(gainOver(crossed, before!)))
  if (!isNews && held !== undefined) return { ...about, ...held, isChanged: false, evaluations: tried.size }
  if (isNews) {
    const certainty = found.gain ** 2 / (found.gain ** 2 + found.standardError ** 2)
    const logs = equal.logs.map((_, bin) => (certainty * (chosen[0]!.logs[bin]! + chosen[1]!.logs[bin]!)) / 2)
    const merged = yield* scored(logs, evaluations)
    if (merged !== undefined && gainOver(merged.alpha, equal).gain > 0) {
      return { ...about, ...found, weights: weightsOf(logs, mass), isChanged: true, evaluations: tried.size }
    }
  }
  const even = { weights: mass.map(() => 1), gain: 0, standardError: 0 }
  return { ...about, ...even, isChanged: before !== undefined, evaluations: tried.size }
}

function isProven({ gain, standardError }: PairedGain): boolean {
  return gain > standardError
}

function isUneven({ weights }: LearnedBinWeights): boolean {
  return weights.some((weight) => weight !== 1)
}

function moved(logs: readonly number[], direction: BinDirection, step: number): number[] {
  return logs.map((log, bin) => Math.max(-MOST_LOG, Math.min(MOST_LOG, log + step * direction[bin]!)))
}

function logsOf({ weights }: LearnedBinWeights): number[] {
  return weights.map((weight) => Math.max(-MOST_LOG, Math.log(weight)))
}

function weightsOf(logs: readonly number[], mass: readonly number[]): number[] {
  const weights = logs.map(Math.exp)
  const mean = massMean(weights, mass)
  return weights.map((weight) => Math.min(MOST_WEIGHT, weight / mean))
}

/** What was known before and what was measured now, of the same weights. */
function runningGain(before: PairedGain, now: PairedGain): PairedGain {
  const running = new RunningGain()
  running.add(before)
  running.decay(MEMORY)
  running.add(now)
  const { gain, standardError } = running.value
  return { gain, standardError }
}
