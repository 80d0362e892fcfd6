import { describe, expect, it } from 'vitest'
import { draftedRounds, MetricsSnapshot } from './live-metrics.js'

const before = MetricsSnapshot.parse(`
plateau_spec_decode_num_drafts_total{draft_version="1",tenant=""} 10
plateau_spec_decode_num_draft_tokens_total{draft_version="1",tenant=""} 30
plateau_spec_decode_num_drafts_total{draft_version="gone",tenant=""} 100
`)
const after = MetricsSnapshot.parse(`
# HELP plateau_spec_decode_num_drafts_total Rounds in which the draft proposed something.
plateau_spec_decode_num_drafts_total{draft_version="1",tenant=""} 12
plateau_spec_decode_num_drafts_total{draft_version="2",tenant="acme"} 6
plateau_spec_decode_num_drafts_total{draft_version="prompt-lookup",tenant=""} 2
plateau_spec_decode_num_draft_tokens_total{draft_version="1",tenant=""} 36
plateau_spec_decode_num_draft_tokens_total{draft_version="2",tenant="acme"} 10
plateau_spec_decode_num_draft_tokens_total{draft_version="prompt-lookup",tenant=""} 12
plateau_spec_decode_num_accepted_tokens_total{draft_version="2",tenant="acme"} 4
plateau_spec_decode_num_accepted_tokens_total{draft_version="prompt-lookup",tenant=""} 12
plateau_spec_decode_num_accepted_tokens_per_pos_total{draft_version="2",position="0"} 4
plateau_spec_decode_num_accepted_tokens_per_pos_total{draft_version="prompt-lookup",position="0"} 2
plateau_spec_decode_alpha_sum_total{draft_version="2",tenant="acme"} 3.5
plateau_spec_decode_alpha_positions_total{draft_version="2",tenant="acme"} 10
plateau_speculative_round_seconds_total{part="draft"} 0.01
plateau_speculative_round_seconds_total{part="target"} 0.08
plateau_speculative_round_seconds_total{part="other"} 0.01
`)

describe('the rounds between two snapshots', () => {
  const found = draftedRounds(before, after)

  it('count what was drafted in between by any version that is still there, and no copies', () => {
    expect(found.rounds).toBe(8)
    expect(found.proposed).toBe(2)
    expect(found.acceptanceLength).toBe(1.5)
    expect(found.alpha).toBeCloseTo(0.35)
    expect(found.acceptedByPosition.slice(0, 2)).toEqual([0.5, 0])
  })

  it('spread the time of all speculative rounds, copies included, over their parts', () => {
    expect(found.roundMs.draft).toBeCloseTo(1)
    expect(found.roundMs.target).toBeCloseTo(8)
    expect(found.overheadShare).toBeCloseTo(0.1)
  })
})
