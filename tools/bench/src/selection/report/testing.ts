/** Small made-up results, for tests only. */
import { crc32 } from 'node:zlib'
import { seededRandom } from '@plateau/speculation'
import type { ArmName, ArmResult } from '../arm-result.js'
import type { ResultsHeader } from '../results-file.js'
import { meanAlpha } from './judged.js'
import { joinResults, type Results } from './results.js'

const windows = Array.from({ length: 40 }, (_, i) => ({
  domain: i % 2 === 0 ? 'chat' : 'code',
  positions: 20 + (i % 7),
}))

const header: ResultsHeader = {
  dataset: {
    target: 'demo',
    targetFingerprint: 'f',
    vocabSize: 100,
    draftVocabulary: 100,
    trainingPositions: 1000,
    calibrationPositions: 100,
    referencePositions: 100,
    heldOutWindows: windows,
    fingerprint: 'd',
  },
  machine: { cores: 2, cpu: 'a processor', loadAverage: 0, node: 'v0' },
}

export type Made = Partial<ArmName> & { readonly selector: string; readonly mean: number; readonly used?: number }

/** Windows scatter around `mean`, which is that of all positions, the same way for all arms but for a little of each arm's own. */
export function madeArm({ mean, used, ...name }: Made): ArmResult {
  const arm: ArmName = {
    experiment: 'closed-form',
    target: 'demo',
    available: 1000,
    unit: 'sample',
    keep: name.selector === 'full' ? 1 : 0.5,
    seed: 1,
    matched: 'steps',
    ...name,
  }
  const shared = seededRandom(1)
  const own = seededRandom(crc32(arm.selector) + arm.seed)
  const scattered = windows.map(() => 0.2 * (shared() - 0.5) + 0.01 * (own() - 0.5))
  const middle = meanAlpha(
    windows.map(({ positions }) => positions),
    scattered,
  )
  const windowAlpha = scattered.map((value) => mean + value - middle)
  const lengths = [1, 2, 3, 4, 5].map((gamma) => (1 - mean ** (gamma + 1)) / (1 - mean))
  return {
    ...arm,
    positions: { kept: 1000 * arm.keep, used: used ?? 1000 * arm.keep },
    steps: 10,
    cpuSeconds: { selection: 0.1, training: 10 * arm.keep },
    logitScale: 1,
    alpha: mean,
    greedyMatch: mean,
    domains: {},
    lengths: { t0: lengths, t1: lengths },
    windowAlpha,
    alphaByFlatness: [mean, mean, null, mean, mean],
    curve: [0.5, 0.8, 1].map((share, i) => ({
      steps: i,
      positions: 100 * (i + 1),
      cpuSeconds: i + 1,
      alpha: share * mean,
    })),
  }
}

export function madeResults(made: readonly Made[]): Results {
  const lines = [header, ...made.map(madeArm)].map((value) => `${JSON.stringify(value)}\n`)
  return joinResults([{ name: 'made.jsonl', text: lines.join('') }])
}

/** Five random draws at .30, flatness .01 below, learned .01 above, and full data at .32. */
export const madeArms: readonly Made[] = [
  { selector: 'full', mean: 0.32 },
  ...[1, 2, 3, 4, 5].map((seed) => ({ selector: 'random', seed, mean: 0.3 + 0.0001 * seed })),
  { selector: 'flatness', mean: 0.29 },
  ...[1, 2].map((seed) => ({ selector: 'learned', seed, mean: 0.3097 + 0.0002 * seed })),
  { selector: 'flatness', keep: 0.2, mean: 0.25 },
  ...[1, 2, 3].map((seed) => ({ selector: 'random', keep: 0.2, seed, mean: 0.269 + 0.0005 * seed })),
]
