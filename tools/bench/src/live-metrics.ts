/** A service's /metrics at one moment. */
export class MetricsSnapshot {
  private constructor(private readonly text: string) {}

  static async of(opsUrl: string): Promise<MetricsSnapshot> {
    return MetricsSnapshot.parse(await (await fetch(`${opsUrl}/metrics`)).text())
  }

  /** @param text in Prometheus' text format */
  static parse(text: string): MetricsSnapshot {
    return new MetricsSnapshot(text)
  }

  /**
   * What counters have counted since `earlier`, over all series whose labels contain every one of `labels`. A series that is gone (of a draft version that serves no more) counts
   * nothing: what it counted last is not known.
   */
  grownSince(earlier: MetricsSnapshot, name: string, ...labels: readonly string[]): number {
    const before = earlier.#samples(name, labels)
    return [...this.#samples(name, labels)].reduce((sum, [series, value]) => sum + value - (before.get(series) ?? 0), 0)
  }

  /** By the series' labels. */
  #samples(name: string, labels: readonly string[]): Map<string, number> {
    const all = [...this.text.matchAll(new RegExp(`^${name}(\\{[^}]*\\})? (\\S+)`, 'gm'))]
    return new Map(
      all
        .map(([, series = '', value]) => [series, Number(value)] as const)
        .filter(([series]) => labels.every((label) => series.includes(label))),
    )
  }
}

/** How drafted rounds went between two moments. Copies from the text (version "prompt-lookup") are not among them. */
export interface DraftedRounds {
  readonly rounds: number
  /** Proposed tokens in a round. */
  readonly proposed: number
  /** 1 + accepted in a round. */
  readonly acceptanceLength: number
  /** Mean sum of min(p, q) at judged positions. */
  readonly alpha: number
  /** Share of rounds that accepted the token at position 0, 1, ...; what was not proposed counts as not accepted. */
  readonly acceptedByPosition: readonly number[]
  /** Mean of a speculative round, copies included. */
  readonly roundMs: { readonly draft: number; readonly target: number; readonly other: number }
  /** Of a speculative round: everything that is neither draft nor target graph. */
  readonly overheadShare: number
}

const POSITIONS = 8
const draftsName = 'plateau_spec_decode_num_drafts_total'
const lookup = 'draft_version="prompt-lookup"'

export function draftedRounds(before: MetricsSnapshot, after: MetricsSnapshot): DraftedRounds {
  const grown = (name: string, ...labels: string[]) => after.grownSince(before, name, ...labels)
  const drafted = (name: string, ...labels: string[]) => grown(name, ...labels) - grown(name, ...labels, lookup)
  const rounds = drafted(draftsName)
  const allRounds = grown(draftsName)
  const part = (name: string) => (1000 * grown('plateau_speculative_round_seconds_total', `part="${name}"`)) / allRounds
  const roundMs = { draft: part('draft'), target: part('target'), other: part('other') }
  const accepted = (position: number) =>
    drafted('plateau_spec_decode_num_accepted_tokens_per_pos_total', `position="${position}"`) / rounds
  return {
    rounds,
    proposed: drafted('plateau_spec_decode_num_draft_tokens_total') / rounds,
    acceptanceLength: 1 + drafted('plateau_spec_decode_num_accepted_tokens_total') / rounds,
    alpha: drafted('plateau_spec_decode_alpha_sum_total') / drafted('plateau_spec_decode_alpha_positions_total'),
    acceptedByPosition: Array.from({ length: POSITIONS }, (_, i) => accepted(i)),
    roundMs,
    overheadShare: roundMs.other / (roundMs.draft + roundMs.target + roundMs.other),
  }
}
