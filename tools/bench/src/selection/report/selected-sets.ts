/** What the selectors kept of one target's training samples, sets-<target>.json beside the results. */
export interface SelectedSets {
  readonly target: string
  readonly keep: number
  /** In recorded order. `code`: it is a program or holds a fenced block. */
  readonly samples: readonly SampleFacts[]
  /** By selector: indices of the samples that it kept whole. */
  readonly kept: Readonly<Record<string, readonly number[]>>
  /** Spearman's, over single training positions. */
  readonly correlations: Readonly<Record<string, number>>
  /** The reference draft, before an arm has trained anything, on the held-out windows. */
  readonly before: { readonly alpha: number; readonly alphaByFlatness: readonly (number | null)[] }
}

export interface SampleFacts {
  readonly domain: string
  readonly positions: number
  readonly flatness: number
  readonly code: boolean
}

/** |A and B| / |A or B|. */
export function jaccard(a: readonly number[], b: readonly number[]): number {
  const inA = new Set(a)
  const both = b.filter((index) => inA.has(index)).length
  return both / (a.length + b.length - both)
}

/** Of two independent draws that keep this share: k / (2 - k). */
export function jaccardByChance(keep: number): number {
  return keep / (2 - keep)
}
