import { energy } from './energy.js'
import { entropy } from './entropy.js'
import { flatness } from './flatness.js'
import { leastFlat } from './least-flat.js'
import { margin } from './margin.js'
import { none } from './none.js'
import { perplexity } from './perplexity.js'
import { random } from './random.js'
import type { Strategy } from './strategy.js'
import { top1 } from './top1.js'

const strategies: readonly Strategy[] = [flatness, leastFlat, entropy, top1, margin, energy, perplexity, random, none]

export const strategyNames: readonly string[] = strategies.map((strategy) => strategy.name)

export function strategyNamed(name: string): Strategy {
  const found = strategies.find((strategy) => strategy.name === name)
  if (!found) throw new RangeError(`unknown selection strategy "${name}"; known are ${strategyNames.join(', ')}`)
  return found
}
