import type { WindowStatistics } from '@plateau/flatness'
import type { DraftRows } from '@plateau/inference'

/** One response. Row r, position r of every statistic: the same prediction. */
export interface SelectionWindow {
  readonly rows: DraftRows
  /** As the scorer publishes them; what concerns a draft, from the reference draft at its calibrated logit scale. */
  readonly statistics: WindowStatistics
  readonly domain: string
  readonly sampleId: string
}

export function positionsOf(windows: readonly { readonly rows: { readonly length: number } }[]): number {
  return windows.reduce((sum, { rows }) => sum + rows.length, 0)
}

/** The first windows that together have at least so many positions. */
export function firstPositions<Window extends Pick<SelectionWindow, 'rows'>>(
  windows: readonly Window[],
  positions: number,
): readonly Window[] {
  return splitAfter(windows, positions)[0]
}

/** Those and the rest. */
export function splitAfter<Window extends Pick<SelectionWindow, 'rows'>>(
  windows: readonly Window[],
  positions: number,
): [readonly Window[], readonly Window[]] {
  let at = 0
  for (let sum = 0; at < windows.length && sum < positions; at++) sum += windows[at]!.rows.length
  return [windows.slice(0, at), windows.slice(at)]
}
