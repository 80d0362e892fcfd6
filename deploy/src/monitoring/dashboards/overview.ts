import { acceptanceLength, acceptanceRate, alpha } from './acceptance.js'
import type { Dashboard } from './dashboard.js'
import { each, failedShare, gauge, quantile, rate } from './expressions.js'

const requests = (where: string): string => rate('plateau_requests_total', { where })

export const overview: Dashboard = {
  uid: 'overview',
  title: 'Overview',
  description: 'Is the draft getting better, do requests get through, is anything wrong.',
  rows: [
    {
      title: 'Now',
      panels: [
        {
          title: 'Live version',
          description:
            'Version that new requests use; 0: none yet, the target decodes alone. Servers may differ while a version is rolled out.',
          kind: 'stat',
          unit: 'none',
          queries: [{ expr: gauge('plateau_draft_version', 'max'), legend: 'version' }],
        },
        {
          title: 'Live since',
          description:
            'How long the live version has served. Long while training publishes nothing better is fine; long while traffic has changed is not: see Training.',
          kind: 'stat',
          unit: 's',
          queries: [{ expr: `time() - (${gauge('plateau_draft_live_since_seconds', 'max')} > 0)`, legend: 'age' }],
        },
        {
          title: 'Acceptance length',
          description:
            'Tokens of a round with a proposal: 1 + accepted / rounds, with the bonus token. 1 means that nothing is accepted.',
          kind: 'stat',
          unit: 'short',
          thresholds: [
            [null, 'red'],
            [1.1, 'yellow'],
            [1.4, 'blue'],
          ],
          queries: [{ expr: acceptanceLength(), legend: 'length' }],
        },
        {
          title: 'Requests that failed',
          description:
            'Share of the requests that were taken on that failed, as PlateauRequestsFail has it: those rejected do not count. Nothing but 0 is good: see Serving and the runbook.',
          kind: 'stat',
          unit: 'percentunit',
          thresholds: [
            [null, 'blue'],
            [0.001, 'yellow'],
            [0.01, 'orange'],
            [0.05, 'red'],
          ],
          alert: 'PlateauRequestsFail',
          queries: [
            { expr: failedShare(requests('outcome="failed"'), requests('outcome!="rejected"')), legend: 'failed' },
          ],
        },
        {
          title: 'Speculation',
          description:
            'Share of servers where proposing pays at present. Off is not an error: the target decodes alone where that is faster.',
          kind: 'stat',
          unit: 'percentunit',
          queries: [{ expr: gauge('plateau_speculation_on', 'avg'), legend: 'on' }],
        },
        {
          title: 'Target connected',
          description: 'The least of all servers: 0 means that at least one does not reach its target and answers 503.',
          kind: 'stat',
          unit: 'none',
          thresholds: [
            [null, 'red'],
            [1, 'blue'],
          ],
          queries: [{ expr: gauge('plateau_target_connected', 'min'), legend: 'connected' }],
        },
      ],
    },
    {
      title: 'Is the draft getting better',
      panels: [
        {
          title: 'Acceptance',
          description:
            'Accepted / proposed tokens of drafts, and alpha (mean of sum min(p, q)), which does not depend on how many tokens are proposed. Blue marks: another version went live.',
          unit: 'percentunit',
          min: 0,
          max: 1,
          queries: [
            { expr: acceptanceRate(), legend: 'accepted / proposed' },
            { expr: alpha(), legend: 'alpha' },
          ],
        },
        {
          title: 'Acceptance length over time',
          description:
            '1 + accepted / rounds. What a user gains in speed follows it as far as proposing and verifying are cheap.',
          min: 1,
          queries: [{ expr: acceptanceLength(), legend: 'length' }],
        },
        {
          title: 'Held-out alpha',
          description:
            'What the trainer measures on positions that no version has seen: the live draft and what would replace it. A gap that stays means that something holds versions back: see Roll-outs.',
          unit: 'percentunit',
          min: 0,
          queries: [{ expr: gauge('plateau_trainer_held_out_alpha', 'max', { by: 'draft' }), legend: '{{draft}}' }],
        },
      ],
    },
    {
      title: 'What users get',
      panels: [
        {
          title: 'Tokens a second',
          description: 'Generated for clients, with speculation or without.',
          unit: 'ops',
          min: 0,
          queries: [{ expr: rate('plateau_generation_tokens_total'), legend: 'tokens/s' }],
        },
        {
          title: 'Time between tokens',
          description: 'Time of a round divided by the tokens that it brought. A swap must not show here.',
          unit: 's',
          min: 0,
          queries: [
            { expr: quantile(0.5, 'plateau_inter_token_latency_seconds'), legend: 'p50' },
            { expr: quantile(0.99, 'plateau_inter_token_latency_seconds'), legend: 'p99' },
          ],
        },
        {
          title: 'Requests by how they ended',
          description: 'stop and length are answers; rejected were at fault or over a limit; failed is ours.',
          unit: 'ops',
          min: 0,
          stacked: true,
          queries: [{ expr: rate('plateau_requests_total', { by: 'outcome' }), legend: '{{outcome}}' }],
        },
      ],
    },
    {
      title: 'Is anything wrong',
      panels: [
        {
          title: 'Oldest record that waits',
          alert: 'PlateauConsumerBehind',
          thresholds: [
            [null, 'blue'],
            [1800, 'orange'],
          ],
          description:
            'How long a consumer is behind. Requests do not notice; the draft learns late. Grows without end: the consumer is down or too slow.',
          unit: 's',
          min: 0,
          queries: [
            { expr: gauge('plateau_consumer_oldest_record_age_seconds', 'max', { by: 'group' }), legend: '{{group}}' },
          ],
        },
        {
          title: 'Given up',
          description:
            'Windows that were not published so that no request waits, records that could not be used, and records that expired unread. All should be 0.',
          unit: 'ops',
          min: 0,
          queries: [
            { expr: rate('plateau_target_windows_shed_total', { by: 'reason' }), legend: 'shed: {{reason}}' },
            { expr: rate('plateau_scorer_dead_lettered_total'), legend: 'dead letters of the scorer' },
            { expr: rate('plateau_trainer_dead_lettered_total'), legend: 'dead letters of the trainer' },
            { expr: rate('plateau_consumer_expired_records_total'), legend: 'expired unread' },
          ],
        },
        {
          title: 'Memory and event loop',
          description: 'Resident memory of each process. Flat after the first minutes, or something leaks.',
          unit: 'bytes',
          min: 0,
          queries: [{ expr: each('plateau_process_resident_memory_bytes'), legend: '{{job}} {{instance}}' }],
        },
      ],
    },
  ],
}
