/**
 * Exact speculative sampling (Leviathan et al. 2023, arXiv 2211.17192; Chen et al. 2023, arXiv 2302.01318).
 *
 * p: the target's distribution of a position; q: the distribution the proposed token x was drawn from.
 * Accept x with probability min(1, p(x) / q(x)). After the first rejection draw from the residual
 * norm(max(0, p - q)) (the recovered token); after accepting everything draw from the next p (the bonus token).
 * Then every emitted token has exactly distribution p, whatever q is: P(emit v) = min(p_v, q_v) + (1 - alpha) *
 * max(0, p_v - q_v) / (1 - alpha) = p_v, with alpha = sum of min(p, q).
 */
import type { SparseDistribution } from './draft.js'
import type { Random } from './random.js'
import { sampleIndex, sum } from './sampling.js'
import type { RowView, TargetRow } from './target-row.js'

export interface VerifyInput {
  readonly tokens: readonly number[]
  /**
   * The very distribution each token was drawn from. An empty list says that the tokens were chosen, not drawn (q is
   * the point mass on the token): the case at temperature 0, where p too is a point mass.
   */
  readonly q: readonly SparseDistribution[]
  /** rows[i] is p of the position that tokens[i] is proposed for; one more row for the bonus token. */
  readonly rows: readonly TargetRow[]
  readonly random: Random
}

export interface Verification {
  /** How many proposed tokens hold, from the first. */
  readonly accepted: number
  readonly nextToken: number
  readonly kind: 'recovered' | 'bonus'
}

/** Throws RangeError, before anything is drawn, when the proposal cannot have been drawn from its q. */
export async function verifyProposal({ tokens, q, rows, random }: VerifyInput): Promise<Verification> {
  if (rows.length !== tokens.length + 1) {
    throw new RangeError(`${tokens.length} proposed tokens need ${tokens.length + 1} target rows, got ${rows.length}`)
  }
  checkProposal(tokens, q)
  for (const [i, token] of tokens.entries()) {
    const drawn = q[i]
    const row = rows[i]!
    // random() < 1, so p >= q always accepts and p = 0 never does.
    const threshold = random() * (drawn === undefined ? 1 : probabilityOf(drawn, token))
    if (threshold < (await row.probability(token))) continue
    const proposed = drawn ?? { ids: [token], probs: [1] }
    const p = await row.view(proposed.ids)
    return { accepted: i, nextToken: await drawResidual(p, proposed, random), kind: 'recovered' }
  }
  return { accepted: tokens.length, nextToken: await drawToken(rows[tokens.length]!, random), kind: 'bonus' }
}

/** One token from p: a step of plain decoding. */
export async function drawToken(row: TargetRow, random: Random): Promise<number> {
  const view = await row.view([])
  return drawFrom(view, view.probs, random)
}

/** How far the probabilities of a q may miss 1: the rounding of a few thousand FP32 numbers. */
const MASS_TOLERANCE = 1e-3

/** Throws RangeError with a sentence about the first proposed token whose q is missing, misshapen or excludes it. */
export function checkProposal(tokens: readonly number[], q: readonly SparseDistribution[]): void {
  if (q.length !== 0 && q.length !== tokens.length) {
    throw new RangeError(`${tokens.length} proposed tokens came with ${q.length} rows of q`)
  }
  for (const [i, row] of q.entries()) {
    if (row.ids.length !== row.probs.length) {
      throw new RangeError(`q of proposed token ${i} lists ${row.ids.length} ids and ${row.probs.length} probabilities`)
    }
    const mass = checkedMass(row, `q of proposed token ${i}`)
    if (Math.abs(mass - 1) > MASS_TOLERANCE) {
      throw new RangeError(`q of proposed token ${i} sums to ${mass}, not to 1`)
    }
    if (probabilityOf(row, tokens[i]!) === 0) {
      throw new RangeError(`proposed token ${i} (id ${tokens[i]}) has probability 0 in its own q`)
    }
  }
}

/** Throws RangeError where a row that may have been cut to its top tokens is no distribution. */
export function checkRawDistribution(row: SparseDistribution): void {
  const mass = checkedMass(row, 'it')
  if (mass > 1 + MASS_TOLERANCE) throw new RangeError(`it sums to ${mass}, to more than 1`)
}

function checkedMass(row: SparseDistribution, name: string): number {
  let mass = 0
  for (let i = 0; i < row.probs.length; i++) {
    const x = row.probs[i]!
    if (!(x >= 0) || x > 1 + MASS_TOLERANCE) throw new RangeError(`${name} has a probability outside [0, 1]`)
    mass += x
  }
  if (listsTwice(row.ids)) throw new RangeError(`${name} lists a token twice`)
  return mass
}

/** Up to so many ids comparing all pairs is cheaper than a set. */
const FEW = 96

function listsTwice(ids: ArrayLike<number>): boolean {
  if (ids.length > FEW) return new Set(Array.from(ids)).size !== ids.length
  for (let i = 1; i < ids.length; i++) for (let j = 0; j < i; j++) if (ids[i] === ids[j]) return true
  return false
}

async function drawResidual(p: RowView, q: SparseDistribution, random: Random): Promise<number> {
  const qOf = new Map<number, number>()
  for (let i = 0; i < q.ids.length; i++) qOf.set(q.ids[i]!, q.probs[i]!)
  const residual = Float64Array.from(p.probs, (value, i) => Math.max(0, value - (qOf.get(p.ids[i]!) ?? 0)))
  // Where p equals q a rejection happens only by rounding; what remains to draw from is p itself.
  return sum(residual) + p.restMass > 0 ? drawFrom(p, residual, random) : drawFrom(p, p.probs, random)
}

/** Draws from `weights` on the listed tokens and from p itself on the rest, in proportion. */
async function drawFrom(view: RowView, weights: ArrayLike<number>, random: Random): Promise<number> {
  const listed = sum(weights)
  const point = random() * (listed + view.restMass)
  if (point >= listed && view.restMass > 0) {
    const rest = await view.rest()
    // Given that it fell here, the point is uniform over the rest's share.
    if (sum(rest.probs) > 0) return rest.ids[sampleIndex(rest.probs, (point - listed) / view.restMass)]!
  }
  return view.ids[sampleIndex(listed > 0 ? weights : view.probs, listed > 0 ? Math.min(point / listed, 1) : 0)]!
}

function probabilityOf(distribution: SparseDistribution, token: number): number {
  for (let i = 0; i < distribution.ids.length; i++) if (distribution.ids[i] === token) return distribution.probs[i]!
  return 0
}
