import type { Dashboard } from './dashboard.js'
import { buckets, each, failedShare, gauge, quantile, rate, share, shareOfAll } from './expressions.js'

export const pipeline: Dashboard = {
  uid: 'pipeline',
  title: 'Pipeline',
  description: 'From captured windows to training: flow, lag, what is kept, what is lost.',
  rows: [
    {
      title: 'Capture',
      panels: [
        {
          title: 'Windows',
          description:
            'Of consented responses: captured, and acknowledged by the log. A gap is the queue, or what is shed.',
          unit: 'ops',
          min: 0,
          queries: [
            { expr: rate('plateau_target_windows_captured_total'), legend: 'captured' },
            { expr: rate('plateau_target_windows_published_total'), legend: 'published' },
          ],
        },
        {
          title: 'Shed',
          description:
            'Share of captured windows that were given up so that no request waits. Above 0 for long: the log is too slow or away.',
          unit: 'percentunit',
          min: 0,
          thresholds: [
            [null, 'blue'],
            [0.01, 'orange'],
            [0.05, 'red'],
          ],
          alert: 'PlateauCaptureSheds',
          queries: [
            {
              expr: failedShare(
                rate('plateau_target_windows_shed_total'),
                rate('plateau_target_windows_captured_total'),
              ),
              legend: 'shed',
            },
          ],
        },
        {
          title: 'Queue',
          description: 'Bytes of windows that the log has not acknowledged.',
          unit: 'bytes',
          min: 0,
          queries: [{ expr: gauge('plateau_target_capture_queue_bytes', 'max'), legend: 'longest queue' }],
        },
        {
          title: 'Redaction',
          description:
            "Share of captured windows that the operator's redaction module changed, kept back, or failed on; the latter two are not published.",
          unit: 'percentunit',
          min: 0,
          max: 1,
          queries: [
            {
              expr: shareOfAll(
                rate('plateau_capture_redacted_total', { by: 'result' }),
                rate('plateau_target_windows_captured_total'),
              ),
              legend: '{{result}}',
            },
          ],
        },
      ],
    },
    {
      title: 'Lag',
      panels: [
        {
          title: 'Records that wait',
          alert: 'PlateauConsumerLags',
          thresholds: [
            [null, 'blue'],
            [10_000, 'orange'],
          ],
          description: 'Each consumer group over its partitions. The scorer is scaled by it.',
          min: 0,
          queries: [
            {
              expr: `sum by (group) (${gauge('plateau_consumer_lag_records', 'max', { by: 'group, topic, partition' })})`,
              legend: '{{group}}',
            },
          ],
        },
        {
          title: 'Oldest record that waits',
          alert: 'PlateauConsumerBehind',
          thresholds: [
            [null, 'blue'],
            [1800, 'orange'],
          ],
          description:
            'How long the oldest record has waited. The time that the draft is behind the traffic is at least this.',
          unit: 's',
          min: 0,
          queries: [
            { expr: gauge('plateau_consumer_oldest_record_age_seconds', 'max', { by: 'group' }), legend: '{{group}}' },
          ],
        },
        {
          title: 'From signal to live',
          alert: 'PlateauSignalToLiveSlow',
          thresholds: [
            [null, 'blue'],
            [1800, 'orange'],
          ],
          description:
            "From the capture of the newest window behind a version until requests were given that version: the loop's reaction time.",
          unit: 's',
          min: 0,
          queries: [
            { expr: quantile(0.5, 'plateau_draft_signal_to_live_seconds'), legend: 'p50' },
            { expr: quantile(0.99, 'plateau_draft_signal_to_live_seconds'), legend: 'p99' },
          ],
        },
      ],
    },
    {
      title: 'Selection',
      panels: [
        {
          title: 'Kept share',
          description:
            "Share of the selected arm's positions that gradients may use. 1 while no rule has proved itself: everything is kept.",
          unit: 'percentunit',
          min: 0,
          max: 1,
          queries: [
            {
              expr: share(
                rate('plateau_scorer_positions_total', { where: 'arm="selected",decision="keep"' }),
                rate('plateau_scorer_positions_total', { where: 'arm="selected"' }),
              ),
              legend: 'kept',
            },
          ],
        },
        {
          title: 'Threshold',
          description:
            'Score that a window needs, by partition: a running quantile. No line during warm-up, and where everything is kept.',
          unit: 'short',
          queries: [{ expr: each('plateau_scorer_threshold'), legend: 'partition {{partition}}' }],
        },
        {
          title: 'Flatness of windows',
          description: 'Where windows lie: low is certain, 1 is uniform. A shift is drift.',
          kind: 'heatmap',
          unit: 'short',
          queries: [{ expr: buckets('plateau_scorer_window_flatness'), legend: '{{le}}' }],
        },
        {
          title: 'Drift of flatness',
          description:
            'Population stability index of recent positions against a longer time: below .1 nothing happened, above .25 the traffic is another.',
          unit: 'short',
          min: 0,
          thresholds: [
            [null, 'blue'],
            [0.1, 'yellow'],
            [0.25, 'orange'],
          ],
          alert: 'PlateauTrafficShifted',
          queries: [{ expr: gauge('plateau_scorer_flatness_psi', 'max', { by: 'domain' }), legend: '{{domain}}' }],
        },
        {
          title: 'What selection earns',
          description:
            'What the policy gains over as many positions drawn at random, on held-out positions, by stage. Below 0 for long: what is kept is worse than chance, and the policy will drop its rule.',
          unit: 'short',
          queries: [{ expr: gauge('plateau_trainer_policy_gain', 'max', { by: 'stage' }), legend: '{{stage}}' }],
        },
        {
          title: 'Windows by arm',
          description:
            'selected goes by the rule, control is drawn at random at the same share, evaluation is never trained on.',
          unit: 'ops',
          min: 0,
          stacked: true,
          queries: [
            { expr: rate('plateau_scorer_windows_total', { by: 'arm, decision' }), legend: '{{arm}} {{decision}}' },
          ],
        },
      ],
    },
    {
      title: 'Lost and refused',
      panels: [
        {
          title: 'Dead letters',
          description:
            'Records that could not be used, by reason. `plateau dlq list` shows them, `dlq replay` sends them again.',
          unit: 'ops',
          min: 0,
          queries: [
            { expr: rate('plateau_scorer_dead_lettered_total', { by: 'reason' }), legend: 'scorer: {{reason}}' },
            { expr: rate('plateau_trainer_dead_lettered_total', { by: 'reason' }), legend: 'trainer: {{reason}}' },
          ],
        },
        {
          title: 'Expired unread',
          description:
            'Records that retention removed before a group had read them. They are lost; a longer retention or a faster consumer is needed.',
          unit: 'ops',
          min: 0,
          queries: [{ expr: rate('plateau_consumer_expired_records_total', { by: 'group' }), legend: '{{group}}' }],
        },
        {
          title: 'Seen again',
          description:
            'Redelivered windows whose decision was used again, and duplicates that the trainer dropped: after a restart or a rebalance.',
          unit: 'ops',
          min: 0,
          queries: [
            { expr: rate('plateau_scorer_redelivered_windows_total'), legend: 'scorer' },
            { expr: rate('plateau_trainer_duplicate_windows_total'), legend: 'trainer' },
          ],
        },
      ],
    },
  ],
}
