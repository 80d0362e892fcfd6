import { acceptanceLength, acceptanceRate, alpha } from './acceptance.js'
import type { Dashboard } from './dashboard.js'
import { each, gauge, quantile, rate } from './expressions.js'

/** The increase over an hour reads better than a rate of things that come every few minutes. */
const hourly = (expr: string): string => `3600 * ${expr}`

export const rollouts: Dashboard = {
  uid: 'rollouts',
  title: 'Roll-outs',
  description: 'Versions side by side, swaps, and versions that were thrown out. The console explains each one.',
  rows: [
    {
      title: 'Versions side by side',
      panels: [
        {
          title: 'Acceptance by version',
          description:
            'Accepted / proposed. A canary and the version before it run beside the live one: this is what is compared, together with paired positions.',
          unit: 'percentunit',
          min: 0,
          max: 1,
          queries: [{ expr: acceptanceRate({ by: 'draft_version' }), legend: 'version {{draft_version}}' }],
        },
        {
          title: 'Alpha by version',
          description: 'Mean of sum min(p, q) at judged positions.',
          unit: 'percentunit',
          min: 0,
          max: 1,
          queries: [{ expr: alpha({ by: 'draft_version' }), legend: 'version {{draft_version}}' }],
        },
        {
          title: 'Acceptance length by version',
          description: '1 + accepted / rounds.',
          min: 1,
          queries: [{ expr: acceptanceLength({ by: 'draft_version' }), legend: 'version {{draft_version}}' }],
        },
        {
          title: 'Tokens by version',
          description: 'Whom a version serves: a canary a share, the live one all but the holdback.',
          unit: 'ops',
          min: 0,
          stacked: true,
          queries: [
            {
              expr: rate('plateau_generation_tokens_total', { by: 'draft_version' }),
              legend: 'version {{draft_version}}',
            },
          ],
        },
        {
          title: 'Short against long',
          description:
            'Acceptance over some 1,000 proposals and over many more. Short far below long is a collapse or a shift: the watch looks closer, and rolls back what is worse.',
          unit: 'percentunit',
          min: 0,
          max: 1,
          queries: [
            { expr: gauge('plateau_spec_decode_recent_acceptance', 'avg', { by: 'over' }), legend: '{{over}}' },
          ],
        },
        {
          title: 'Live version by server',
          description: 'Each server decides for itself; what one throws out leaves all of them.',
          unit: 'none',
          min: 0,
          queries: [{ expr: each('plateau_draft_version'), legend: '{{instance}}' }],
        },
      ],
    },
    {
      title: 'Swaps and verdicts',
      panels: [
        {
          title: 'Verdicts',
          description:
            'An hour: versions that went live, that were refused before, and that were live and taken back. Many refusals: training makes nothing better, or the traffic of training is not that of serving.',
          min: 0,
          queries: [
            { expr: hourly(rate('plateau_draft_swaps_total')), legend: 'swaps' },
            { expr: hourly(rate('plateau_draft_versions_rejected_total')), legend: 'rejected' },
            { expr: hourly(rate('plateau_draft_rollbacks_total')), legend: 'rolled back' },
          ],
        },
        {
          title: 'Time of a roll-out',
          description:
            'From the arrival of a version until requests use it: reading, building, probing, and the comparisons, which take as long as traffic takes to show a difference.',
          unit: 's',
          min: 0,
          queries: [
            { expr: quantile(0.5, 'plateau_draft_swap_seconds'), legend: 'p50' },
            { expr: quantile(0.99, 'plateau_draft_swap_seconds'), legend: 'p99' },
          ],
        },
        {
          title: 'Unusual responses',
          description:
            'Hardly anything, or all but everything, of a response was accepted: text that the draft does not know, or that repeats itself.',
          unit: 'ops',
          min: 0,
          queries: [{ expr: rate('plateau_unusual_responses_total', { by: 'acceptance' }), legend: '{{acceptance}}' }],
        },
        {
          title: 'Trainer and servers',
          description: 'Newest published version and the live one. Far apart: versions are refused.',
          unit: 'none',
          min: 0,
          queries: [
            { expr: gauge('plateau_trainer_version', 'max'), legend: 'published' },
            { expr: gauge('plateau_draft_version', 'max'), legend: 'live' },
          ],
        },
        {
          title: 'Refused, as the trainer hears it',
          description: 'An hour, by whom: serving by what it measured, or an operator.',
          min: 0,
          queries: [{ expr: hourly(rate('plateau_trainer_versions_refused_total', { by: 'by' })), legend: '{{by}}' }],
        },
        {
          title: 'Reports that wait',
          description: 'Times that the acceptance topic took no records; they are sent with the next report.',
          unit: 'ops',
          min: 0,
          queries: [{ expr: rate('plateau_acceptance_report_failures_total'), legend: 'failures' }],
        },
      ],
    },
  ],
}
