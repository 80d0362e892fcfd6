/**
 * A position after logit processors, without the whole vocabulary: they change the logits of a few known tokens A, so
 *
 *     sum over v of exp(z'_v / T) = exp(LSE) S,  S = 1 - sum over A of exp(z / T - LSE) + sum over A of exp(z' / T - LSE)
 *
 * and every other token keeps its logit, its place among the unchanged ones, and exp(z / T - LSE').
 */
import { KnownLogits } from './known-logits.js'
import type { LogitProcessors } from './logit-processors.js'
import type { TopKSource } from './target-row.js'

interface Entry {
  readonly id: number
  readonly logit: number
}

/**
 * What `source` says after the processors, as if the step had computed it so. Undefined where only all logits can tell:
 * a logit that changes is not known, the most probable token may lie beyond what is listed, or too little is left of the
 * sum to be told from rounding. At temperature 0 the log-sum-exp is not looked at, as everywhere.
 *
 * @param ahead proposed tokens before this position
 */
export function processedSource(
  source: TopKSource,
  processors: LogitProcessors,
  temperature: number,
  ahead: readonly number[],
): TopKSource | undefined {
  const affected = processors.affected(ahead)
  const known = new KnownLogits(source)
  const before = affected.map((id) => known.of(id))
  if (before.includes(undefined)) return undefined
  const raw = before as number[]
  const adjusted = raw.map((logit, i) => processors.adjust(affected[i]!, logit, ahead))
  const logSumExp = temperature === 0 ? Number.NaN : changedLogSumExp(source.logSumExp, raw, adjusted, temperature)
  if (logSumExp === undefined) return undefined

  const adjustedOf = new Map(affected.map((id, i) => [id, adjusted[i]!]))
  const isSure = sureAbove(source)
  const sure: Entry[] = []
  const others: Entry[] = []
  for (const entry of entriesOf(source, adjustedOf)) (isSure(entry) ? sure : others).push(entry)
  if (sure.length === 0) return undefined
  sure.sort((a, b) => b.logit - a.logit || a.id - b.id)
  return {
    vocabSize: source.vocabSize,
    topIds: sure.map(({ id }) => id),
    topLogits: sure.map(({ logit }) => logit),
    logSumExp,
    candidateIds: others.map(({ id }) => id),
    candidateLogits: others.map(({ logit }) => logit),
    fullLogits: async () => processors.apply(await source.fullLogits(), ahead),
  }
}

/** The sum behind a small LSE has rounding of its own. */
const LEAST_SCALE = 16

/**
 * LSE + ln S. The step's LSE is a 32-bit number, so S, which is 1 less some of itself, is known to within |LSE| 2^-24.
 * Probabilities shall hold to 2^-16: then S must be |LSE| / 256 (or a half: that little is lost in any case).
 */
function changedLogSumExp(
  logSumExp: number,
  before: readonly number[],
  after: readonly number[],
  temperature: number,
): number | undefined {
  const exponents = after.map((logit) => logit / temperature - logSumExp)
  // A large bias would overflow otherwise.
  const shift = Math.max(0, ...exponents)
  let sum = 1
  for (const logit of before) sum -= Math.exp(logit / temperature - logSumExp)
  sum *= Math.exp(-shift)
  for (const exponent of exponents) sum += Math.exp(exponent - shift)
  const logOfSum = Math.log(sum) + shift
  const least = Math.min(Math.max(Math.abs(logSumExp), LEAST_SCALE) / 256, 0.5)
  return logOfSum >= Math.log(least) ? logSumExp + logOfSum : undefined
}

/** Everything known of the position, each token once. */
function entriesOf(source: TopKSource, adjusted: ReadonlyMap<number, number>): Iterable<Entry> {
  const entries = new Map<number, Entry>()
  for (const [id, logit] of adjusted) entries.set(id, { id, logit })
  const add = (ids: ArrayLike<number>, logits: ArrayLike<number>): void => {
    for (let i = 0; i < ids.length; i++) {
      const id = ids[i]!
      if (!entries.has(id)) entries.set(id, { id, logit: logits[i]! })
    }
  }
  add(source.topIds, source.topLogits)
  add(source.candidateIds, source.candidateLogits)
  return entries.values()
}

/**
 * Which tokens no other comes before but known ones: a token beyond the top list that is unchanged has a logit below the
 * list's last one, or the same and a higher id.
 */
function sureAbove({ vocabSize, topIds, topLogits }: TopKSource): (entry: Entry) => boolean {
  if (topIds.length === vocabSize) return () => true
  const last = topIds.length - 1
  const [lastLogit, lastId] = [topLogits[last]!, topIds[last]!]
  return ({ id, logit }) => logit > lastLogit || (logit === lastLogit && id <= lastId)
}
