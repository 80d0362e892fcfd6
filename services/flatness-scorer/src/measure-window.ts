import { FloatFormat, PlateauError, unpackTopK, type ScoredWindow, type TokenWindow } from '@plateau/contracts'
import {
  energyFromLogSumExp,
  flatnessFromSumSquares,
  flatnessInterval,
  float32AtLeast,
  float32AtMost,
  lotOf,
  marginOf,
  perplexityOf,
  rounding,
  type WindowStatistics,
} from '@plateau/flatness'
import type { AcceptedWindow } from './accept-window.js'

/** What is published about a window's tokens, all in fp32 as published: a restart restores the very same numbers. */
export interface MeasuredWindow extends WindowStatistics {
  readonly flatnessLow: Float32Array
  readonly flatnessHigh: Float32Array
}

/** The parts of an accepted window that its numbers come from. */
type Capture = Pick<AcceptedWindow, 'window' | 'top' | 'probabilities'>

export function measureWindow(accepted: Capture): MeasuredWindow {
  const { window, top, probabilities } = accepted
  const { k, positions } = top
  const top1 = new Float32Array(positions)
  const margin = new Float32Array(positions)
  for (let row = 0; row < positions; row++) {
    top1[row] = probabilities[row * k]!
    margin[row] = marginOf(probabilities, row * k, k, window.tailMass[row]!)
  }
  return {
    ...(window.sumSquares.length > 0 ? exactFlatness(window) : certifiedFlatness(accepted)),
    entropy: Float32Array.from(window.entropy),
    top1,
    margin,
    energy: Float32Array.from(window.logSumExp, energyFromLogSumExp),
    tokenLogProb: Float32Array.from(window.tokenLogProb),
    ...draftSignals(window),
    vocabSize: window.vocabSize,
    perplexity: Math.fround(perplexityOf(window.tokenLogProb)),
    ...identityOf(window),
  }
}

/**
 * The same of a window that was recorded: what the scorer would rank it by. The window has to be well-formed. Throws a
 * PlateauError when it lists no distributions.
 */
export function windowStatistics(window: TokenWindow): WindowStatistics {
  const { top } = window
  if (top === undefined) throw new PlateauError('FIELD_MISSING', `top of ${window.sampleId} is missing`)
  return measureWindow({ window, top, probabilities: unpackTopK(top) })
}

/** The statistics that a scored record was decided by. */
export function statisticsOf(scored: ScoredWindow): WindowStatistics {
  return {
    flatness: Float32Array.from(scored.flatness),
    entropy: Float32Array.from(scored.entropy),
    top1: Float32Array.from(scored.top1),
    margin: Float32Array.from(scored.margin),
    energy: Float32Array.from(scored.energy),
    tokenLogProb: Float32Array.from(scored.tokenLogProb),
    ...draftSignals(scored),
    vocabSize: scored.vocabSize,
    perplexity: scored.perplexity,
    ...identityOf(scored),
  }
}

function draftSignals(window: Pick<ScoredWindow, 'draftOverlap' | 'draftGain' | 'draftEntropy'>) {
  return {
    draftOverlap: Float32Array.from(window.draftOverlap),
    draftGain: Float32Array.from(window.draftGain),
    draftEntropy: Float32Array.from(window.draftEntropy),
  }
}

function identityOf({ sampleId, windowIndex, domain }: Pick<ScoredWindow, 'sampleId' | 'windowIndex' | 'domain'>) {
  return { lot: lotOf(sampleId, windowIndex), sampleId, domain }
}

type Flatness = Pick<MeasuredWindow, 'flatness' | 'flatnessLow' | 'flatnessHigh'>

function exactFlatness(window: { readonly sumSquares: number[]; readonly vocabSize: number }): Flatness {
  const flatness = Float32Array.from(window.sumSquares, (s) => flatnessFromSumSquares(s, window.vocabSize))
  return { flatness, flatnessLow: flatness, flatnessHigh: flatness }
}

function certifiedFlatness({ window, top, probabilities }: Capture): Flatness {
  const { k, positions } = top
  const flatness = new Float32Array(positions)
  const flatnessLow = new Float32Array(positions)
  const flatnessHigh = new Float32Array(positions)
  const stored = top.format === FloatFormat.FLOAT_FORMAT_FP16 ? rounding.fp16 : rounding.fp32
  for (let row = 0; row < positions; row++) {
    const { low, high } = flatnessInterval({
      probabilities,
      start: row * k,
      k,
      tailMass: window.tailMass[row]!,
      vocabSize: window.vocabSize,
      rounding: stored,
    })
    flatness[row] = (low + high) / 2
    flatnessLow[row] = float32AtMost(low)
    flatnessHigh[row] = float32AtLeast(high)
  }
  return { flatness, flatnessLow, flatnessHigh }
}
