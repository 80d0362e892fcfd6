import { lotOf } from './arm.js'
import type { WindowStatistics } from './strategies/strategy.js'

/** At least one window of one response, in order, as the one window that they would be. */
export function joinedWindows(windows: readonly WindowStatistics[]): WindowStatistics {
  const { vocabSize, sampleId, domain } = windows[0]!
  return {
    flatness: concatenated(windows, 'flatness'),
    entropy: concatenated(windows, 'entropy'),
    top1: concatenated(windows, 'top1'),
    margin: concatenated(windows, 'margin'),
    energy: concatenated(windows, 'energy'),
    tokenLogProb: concatenated(windows, 'tokenLogProb'),
    draftOverlap: concatenated(windows, 'draftOverlap'),
    draftGain: concatenated(windows, 'draftGain'),
    draftEntropy: concatenated(windows, 'draftEntropy'),
    vocabSize,
    perplexity: perplexityOfAll(windows),
    lot: lotOf(sampleId, 0),
    sampleId,
    domain,
  }
}

type ListName = {
  [K in keyof WindowStatistics]: WindowStatistics[K] extends Float32Array ? K : never
}[keyof WindowStatistics]

/** NaN for windows that lack the list; empty when all do. */
function concatenated(windows: readonly WindowStatistics[], list: ListName): Float32Array {
  if (windows.every((window) => window[list].length === 0)) return new Float32Array(0)
  const positions = windows.reduce((sum, { flatness }) => sum + flatness.length, 0)
  const all = new Float32Array(positions).fill(Number.NaN)
  let at = 0
  for (const window of windows) {
    all.set(window[list], at)
    at += window.flatness.length
  }
  return all
}

/** exp of the mean over all positions, from what each window says of its own. */
function perplexityOfAll(windows: readonly WindowStatistics[]): number {
  let sum = 0
  let positions = 0
  for (const { perplexity, flatness } of windows) {
    sum += Math.log(perplexity) * flatness.length
    positions += flatness.length
  }
  return Math.exp(sum / positions)
}
