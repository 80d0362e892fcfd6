import { batchFlatness } from './batch-flatness.js'
import { draftGain } from './draft-gain.js'
import { draftGap } from './draft-gap.js'
import { energy } from './energy.js'
import { entropy } from './entropy.js'
import { flatGap } from './flat-gap.js'
import { flatness } from './flatness.js'
import { leastFlat } from './least-flat.js'
import { length } from './length.js'
import { margin } from './margin.js'
import { medianFlatness } from './median-flatness.js'
import { none } from './none.js'
import { overconfident } from './overconfident.js'
import { peakedGap } from './peaked-gap.js'
import { perplexity } from './perplexity.js'
import { random } from './random.js'
import { renyi2 } from './renyi2.js'
import type { Strategy } from './strategy.js'
import { top1 } from './top1.js'

const strategies: readonly Strategy[] = [
  flatness,
  leastFlat,
  medianFlatness,
  batchFlatness,
  renyi2,
  entropy,
  top1,
  margin,
  energy,
  perplexity,
  length,
  draftGap,
  flatGap,
  peakedGap,
  draftGain,
  overconfident,
  random,
  none,
]

export const strategyNames: readonly string[] = strategies.map((strategy) => strategy.name)

export function strategyNamed(name: string): Strategy {
  const found = strategies.find((strategy) => strategy.name === name)
  if (!found) throw new RangeError(`unknown selection strategy "${name}"; known are ${strategyNames.join(', ')}`)
  return found
}
