import { ArmBelief } from './arm-belief.js'

export interface DraftRouterOptions {
  /** Share of a label's requests that go to another arm than the best known, in [0, 1). */
  readonly exploreShare: number
  /** Labels that are held; above it the one that was observed longest ago is forgotten. */
  readonly maxLabels: number
  /** Judged proposals of an arm on a label that its rate looks back on. */
  readonly memoryProposals: number
}

export const standardRouting: DraftRouterOptions = { exploreShare: 0.05, maxLabels: 256, memoryProposals: 2_000 }

export interface LabelStatus {
  readonly label: string
  readonly best: string
  readonly arms: readonly { readonly arm: string; readonly acceptance: number; readonly judged: number }[]
}

/** What an arm without evidence is believed in, in proposals at the default's rate. */
const PRIOR_PROPOSALS = 64
/** Standard errors by which a challenger has to beat the default. */
const BEYOND_NOISE = 2

/**
 * Which of the loaded drafts a request should use, learned from acceptance by label (the domain, or else the tenant). The
 * default, the newest live version, serves every label but those on which another one is better by more than noise, or on
 * which neither it nor the version before it was seen and another one was: a domain that was away comes back to the version
 * that knew it, one that stayed goes on to the next version. A small share goes to the others in turn, so that a change is
 * noticed. Evidence fades with proposals, not with time, so what is known of a label that is away stays. Without a label
 * ("") it is a mixture that no draft is made for: the default's, and nothing is learned of it.
 */
export class DraftRouter {
  readonly #options: DraftRouterOptions
  /** The label observed longest ago first. */
  readonly #labels = new Map<string, Map<string, ArmBelief>>()

  constructor(options: DraftRouterOptions) {
    this.#options = options
  }

  /**
   * `arms`: the loaded ones, the default first, at least one. `draw`: uniform in [0, 1), a new one for each request.
   * `before`: what the default took the place of, an arm or not; until the default is seen on a label, that stands for it.
   */
  route(label: string, arms: readonly string[], draw: number, before?: string): string {
    const best = this.#bestOf(this.#labels.get(label), arms, before)
    const others = label === '' ? [] : arms.filter((arm) => arm !== best)
    const { exploreShare } = this.#options
    if (others.length === 0 || draw >= exploreShare) return best
    return others[Math.floor((draw / exploreShare) * others.length)]!
  }

  /** A response of `arm`. Without a judged proposal it says nothing. */
  observe(label: string, arm: string, accepted: number, judged: number): void {
    if (judged === 0 || label === '') return
    const arms = this.#labels.get(label) ?? new Map<string, ArmBelief>()
    this.#labels.delete(label)
    this.#labels.set(label, arms)
    if (this.#labels.size > this.#options.maxLabels) this.#labels.delete(this.#labels.keys().next().value!)
    const belief = arms.get(arm) ?? new ArmBelief()
    arms.set(arm, belief)
    belief.observe(accepted, judged, this.#options.memoryProposals)
  }

  /** The arm that is surely good on a label: the highest rate less its standard error. Undefined where nothing is known. */
  best(label: string): string | undefined {
    return [...(this.#labels.get(label) ?? [])].toSorted(([, a], [, b]) => surely(b) - surely(a))[0]?.[0]
  }

  /**
   * Of the candidates (replaced versions), those that are the best known arm of some label, the
   * one with the most proposals on such labels first; `max` at most. They deserve to stay in memory. An arm that is gone
   * has to be forgotten: it would stand before those that are not.
   */
  keepers(candidates: readonly string[], max: number): string[] {
    const proposals = new Map<string, number>()
    for (const [label, arms] of this.#labels) {
      const best = this.best(label)
      if (best === undefined || !candidates.includes(best)) continue
      proposals.set(best, (proposals.get(best) ?? 0) + arms.get(best)!.judged)
    }
    return [...proposals]
      .toSorted(([, a], [, b]) => b - a)
      .slice(0, max)
      .map(([arm]) => arm)
  }

  /** The arm is gone for good. */
  forget(arm: string): void {
    for (const [label, arms] of this.#labels) {
      arms.delete(arm)
      if (arms.size === 0) this.#labels.delete(label)
    }
  }

  /** By label, the one observed last at the end. */
  snapshot(): LabelStatus[] {
    return [...this.#labels].map(([label, arms]) => ({
      label,
      best: this.best(label)!,
      arms: [...arms].map(([arm, { rate, judged }]) => ({ arm, acceptance: rate, judged: Math.round(judged) })),
    }))
  }

  #bestOf(known: ReadonlyMap<string, ArmBelief> | undefined, arms: readonly string[], before = ''): string {
    const [fallback, ...challengers] = arms
    if (fallback === undefined) throw new RangeError('there is no arm to route to')
    if (known === undefined) return fallback
    const byDefault = known.get(fallback) ?? known.get(before)
    const seen = challengers
      .filter((arm) => known.has(arm))
      .toSorted((a, b) => surely(known.get(b)!) - surely(known.get(a)!))
    if (byDefault === undefined) return seen[0] ?? fallback
    return seen.find((arm) => beats(known.get(arm)!, byDefault)) ?? fallback
  }
}

function surely(belief: ArmBelief): number {
  return belief.rate - belief.standardError(PRIOR_PROPOSALS)
}

function beats(challenger: ArmBelief, byDefault: ArmBelief): boolean {
  const lead = challenger.towards(byDefault.rate, PRIOR_PROPOSALS) - byDefault.rate
  const noise = Math.hypot(challenger.standardError(PRIOR_PROPOSALS), byDefault.standardError(0))
  return lead > BEYOND_NOISE * noise
}
