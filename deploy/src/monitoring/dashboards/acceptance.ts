/** Expressions about acceptance that more than one dashboard shows, by the engines' convention (libs/telemetry, serving-metrics.ts). */
import { rate, share, type Where } from './expressions.js'

/** Copies from the text are counted under a name of their own. */
const DRAFTS = 'draft_version!="prompt-lookup"'

const drafts = (where: Where): Where => ({ ...where, where: where.where ?? DRAFTS })

/** Accepted / proposed tokens. */
export function acceptanceRate(where: Where = {}): string {
  const of = drafts(where)
  return share(
    rate('plateau_spec_decode_num_accepted_tokens_total', of),
    rate('plateau_spec_decode_num_draft_tokens_total', of),
  )
}

/** 1 + accepted / rounds: the bonus token counts. */
export function acceptanceLength(where: Where = {}): string {
  const of = drafts(where)
  const accepted = rate('plateau_spec_decode_num_accepted_tokens_total', of)
  return `1 + ${share(accepted, rate('plateau_spec_decode_num_drafts_total', of))}`
}

/** Mean of sum min(p, q) over judged positions. */
export function alpha(where: Where = {}): string {
  const of = drafts(where)
  return share(rate('plateau_spec_decode_alpha_sum_total', of), rate('plateau_spec_decode_alpha_positions_total', of))
}

export const copies: Where = { where: 'draft_version="prompt-lookup"' }
