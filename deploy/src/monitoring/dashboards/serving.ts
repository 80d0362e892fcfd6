import { acceptanceRate, copies } from './acceptance.js'
import type { Dashboard } from './dashboard.js'
import { each, gauge, quantile, rate, shareOfAll } from './expressions.js'

const accepted = 'plateau_spec_decode_num_accepted_tokens_per_pos_total'

export const serving: Dashboard = {
  uid: 'serving',
  title: 'Serving',
  description: 'Requests, waiting, and where the time of speculation goes.',
  rows: [
    {
      title: 'Requests',
      panels: [
        {
          title: 'In hand and waiting',
          description:
            'Responses being generated and requests that wait for a place. Waiting that does not end: more servers, or fewer requests.',
          min: 0,
          queries: [
            { expr: gauge('plateau_requests_running', 'sum'), legend: 'running' },
            { expr: gauge('plateau_requests_waiting', 'sum'), legend: 'waiting' },
          ],
        },
        {
          title: 'Time to the first token',
          description: 'From the arrival of a request, waiting included.',
          unit: 's',
          min: 0,
          queries: [
            { expr: quantile(0.5, 'plateau_time_to_first_token_seconds'), legend: 'p50' },
            { expr: quantile(0.99, 'plateau_time_to_first_token_seconds'), legend: 'p99' },
          ],
        },
        {
          title: 'Refused (429)',
          description:
            "Requests told to come back later, by the limit that they reached. queue_full is the server's limit, the others are a tenant's.",
          unit: 'ops',
          min: 0,
          stacked: true,
          queries: [{ expr: rate('plateau_requests_refused_total', { by: 'reason' }), legend: '{{reason}}' }],
        },
        {
          title: 'Tokens by tenant',
          description: 'Generated tokens a second. Tenants beyond the first 500 count as "other".',
          unit: 'ops',
          min: 0,
          queries: [
            { expr: `topk(10, ${rate('plateau_generation_tokens_total', { by: 'tenant' })})`, legend: '{{tenant}}' },
          ],
        },
        {
          title: 'Broken off',
          description:
            'Responses that the target broke off after their first token, and drafts that failed while proposing (the response went on without). Both should be 0.',
          unit: 'ops',
          min: 0,
          queries: [
            { expr: rate('plateau_target_streams_lost_total'), legend: 'by the target' },
            { expr: rate('plateau_draft_errors_total'), legend: 'drafts that failed' },
          ],
        },
        {
          title: 'Calls of the target',
          description: "By method and status. UNAVAILABLE and INTERNAL want a look at the target's log.",
          unit: 'ops',
          min: 0,
          queries: [
            { expr: rate('plateau_target_requests_total', { by: 'method, code' }), legend: '{{method}} {{code}}' },
          ],
        },
      ],
    },
    {
      title: 'Speculation',
      panels: [
        {
          title: 'Accepted by place',
          description:
            'Accepted tokens at each place of a proposal over rounds. Falls from place to place; where it is near 0, proposals are too long for this traffic.',
          unit: 'percentunit',
          min: 0,
          max: 1,
          queries: [
            {
              expr: shareOfAll(
                rate(accepted, { by: 'position' }),
                rate('plateau_spec_decode_num_drafts_total', { ofAllTenants: true }),
              ),
              legend: 'place {{position}}',
            },
          ],
        },
        {
          title: 'Proposal length',
          description: 'Tokens that servers propose in a round at present; 0: proposing does not pay.',
          min: 0,
          queries: [{ expr: each('plateau_speculation_proposal'), legend: '{{instance}}' }],
        },
        {
          title: 'Acceptance against break-even',
          description:
            'Where recent acceptance is below break-even, proposing costs more time than it saves, and servers stop.',
          unit: 'percentunit',
          min: 0,
          queries: [
            { expr: gauge('plateau_speculation_break_even_acceptance', 'avg'), legend: 'break-even' },
            {
              expr: gauge('plateau_spec_decode_recent_acceptance', 'avg', { where: 'over="short"' }),
              legend: 'recent',
            },
          ],
        },
        {
          title: 'Time of rounds',
          description:
            "Seconds a second that rounds with a proposal take: the draft, the target's engine, and the rest (messages, waiting for a turn).",
          unit: 'short',
          min: 0,
          stacked: true,
          queries: [{ expr: rate('plateau_speculative_round_seconds_total', { by: 'part' }), legend: '{{part}}' }],
        },
        {
          title: 'Acceptance by tenant',
          description:
            'Recent acceptance of drafts. A tenant far below the others has traffic that the draft does not know.',
          unit: 'percentunit',
          min: 0,
          max: 1,
          queries: [
            {
              expr: gauge('plateau_spec_decode_recent_acceptance', 'avg', {
                by: 'tenant, domain',
                where: 'over="short"',
              }),
              legend: '{{tenant}} {{domain}}',
            },
          ],
        },
        {
          title: 'Copies from the text',
          description: 'Accepted share of what was copied from prompt and response instead of proposed by the draft.',
          unit: 'percentunit',
          min: 0,
          max: 1,
          queries: [{ expr: acceptanceRate(copies), legend: 'accepted / copied' }],
        },
      ],
    },
    {
      title: 'Target',
      panels: [
        {
          title: 'Responses computed together',
          description: "Size of the engine's batches.",
          min: 0,
          queries: [
            { expr: quantile(0.5, 'plateau_target_run_sequences'), legend: 'p50' },
            { expr: quantile(0.95, 'plateau_target_run_sequences'), legend: 'p95' },
          ],
        },
        {
          title: 'Step time',
          description: 'p95 of a step by the positions that it computed: what verifying a longer proposal costs.',
          unit: 's',
          min: 0,
          queries: [
            { expr: quantile(0.95, 'plateau_target_step_seconds', { by: 'positions' }), legend: '{{positions}}' },
          ],
        },
        {
          title: 'Keys and values',
          description: 'Memory for them. Near the budget, the youngest responses are computed again later.',
          unit: 'bytes',
          min: 0,
          queries: [{ expr: gauge('plateau_target_cache_bytes', 'sum', { by: 'state' }), legend: '{{state}}' }],
        },
      ],
    },
    {
      title: 'Processes',
      panels: [
        {
          title: 'Event loop delay',
          alert: 'PlateauEventLoopBlocked',
          thresholds: [
            [null, 'blue'],
            [0.25, 'red'],
          ],
          description:
            'p99 since the last scrape. Above a tenth of a second, tokens arrive late and health checks may fail: less load, or more processor.',
          unit: 's',
          min: 0,
          queries: [{ expr: each('plateau_event_loop_delay_p99_seconds'), legend: '{{job}} {{instance}}' }],
        },
        {
          title: 'Processor',
          description: 'Cores in use. The trainer takes what is left, at the lowest priority.',
          min: 0,
          queries: [
            { expr: `deriv(${each('plateau_process_cpu_seconds')}[$__rate_interval])`, legend: '{{job}} {{instance}}' },
          ],
        },
        {
          title: 'Refused callers',
          description:
            'gRPC calls, and handshakes, refused for their certificate. Somebody without rights, or a service whose certificate has ended or says the wrong name.',
          unit: 'ops',
          min: 0,
          queries: [
            { expr: rate('plateau_rpc_refused_total', { by: 'method, caller' }), legend: '{{caller}} {{method}}' },
            { expr: rate('plateau_tls_handshakes_refused_total', { by: 'reason' }), legend: 'handshake: {{reason}}' },
          ],
        },
      ],
    },
  ],
}
