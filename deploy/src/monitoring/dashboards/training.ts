import type { Dashboard } from './dashboard.js'
import { failedShare, gauge, meanOf, quantile, rate } from './expressions.js'

export const training: Dashboard = {
  uid: 'training',
  title: 'Training',
  description: 'Both stages of learning: what goes in, how it goes, what comes out.',
  rows: [
    {
      title: 'Learning',
      panels: [
        {
          title: 'Held-out alpha',
          description:
            'On recent positions that nothing was trained on: the incumbent and what each stage would publish. A candidate has to be better beyond noise.',
          unit: 'percentunit',
          min: 0,
          queries: [{ expr: gauge('plateau_trainer_held_out_alpha', 'max', { by: 'draft' }), legend: '{{draft}}' }],
        },
        {
          title: 'Loss',
          description:
            'Of the last gradient step, before it: 1 - alpha for TV, nats for KL. Noisy by nature; a rise that stays is a shift of traffic.',
          unit: 'short',
          queries: [{ expr: gauge('plateau_trainer_loss', 'max'), legend: 'loss' }],
        },
        {
          title: 'Gradient norm',
          description: 'Before clipping. Growing without end: the learning rate is too high.',
          unit: 'short',
          min: 0,
          queries: [{ expr: gauge('plateau_trainer_gradient_norm', 'max'), legend: 'norm' }],
        },
        {
          title: 'Steps',
          description:
            'applied; skipped: loss or gradient not finite; restored: back to the last good state. The latter two should be 0.',
          unit: 'ops',
          min: 0,
          queries: [{ expr: rate('plateau_trainer_steps_total', { by: 'result' }), legend: '{{result}}' }],
        },
        {
          title: 'Step time',
          description: 'Of gradient steps. Steps take turns with everything else that the trainer does.',
          unit: 's',
          min: 0,
          queries: [
            { expr: quantile(0.5, 'plateau_trainer_step_seconds'), legend: 'p50' },
            { expr: quantile(0.99, 'plateau_trainer_step_seconds'), legend: 'p99' },
          ],
        },
        {
          title: 'Closed form',
          description: 'Time of one solution, calibration and evaluation included, and how many there are a second.',
          unit: 's',
          min: 0,
          queries: [
            { expr: meanOf('plateau_trainer_solve_seconds'), legend: 'mean time' },
            { expr: rate('plateau_trainer_solves_total'), legend: 'solutions/s' },
          ],
        },
      ],
    },
    {
      title: 'Data',
      panels: [
        {
          title: 'Positions of gradient steps',
          description: 'A second, and the part of them that is replayed.',
          unit: 'ops',
          min: 0,
          queries: [
            { expr: rate('plateau_trainer_step_positions_total'), legend: 'all' },
            { expr: rate('plateau_trainer_replayed_positions_total'), legend: 'replayed' },
          ],
        },
        {
          title: 'Windows',
          description: 'Consumed, by arm and decision.',
          unit: 'ops',
          min: 0,
          stacked: true,
          queries: [
            { expr: rate('plateau_trainer_windows_total', { by: 'arm, decision' }), legend: '{{arm}} {{decision}}' },
          ],
        },
        {
          title: 'Passed over',
          description:
            'Windows not learned from: of a tenant that has brought its share, one to be forgotten, other traffic, or unusable.',
          unit: 'ops',
          min: 0,
          queries: [
            { expr: rate('plateau_trainer_over_share_windows_total'), legend: 'over its share' },
            { expr: rate('plateau_trainer_forgotten_windows_total'), legend: 'to be forgotten' },
            { expr: rate('plateau_trainer_other_traffic_windows_total'), legend: 'other traffic' },
            { expr: rate('plateau_trainer_unusable_windows_total', { by: 'reason' }), legend: 'unusable: {{reason}}' },
          ],
        },
      ],
    },
    {
      title: 'The trainer',
      panels: [
        {
          title: 'Roles',
          description:
            'One writer for a lineage, further trainers stand by. No writer: nothing is learned. Two: their epochs decide, the older is fenced.',
          min: 0,
          queries: [{ expr: gauge('plateau_trainer_role', 'sum', { by: 'role' }), legend: '{{role}}' }],
        },
        {
          title: 'Where its time goes',
          description: 'Share of the time, by work; 1 together is a busy trainer.',
          unit: 'percentunit',
          min: 0,
          stacked: true,
          queries: [{ expr: rate('plateau_trainer_busy_seconds_total', { by: 'work' }), legend: '{{work}}' }],
        },
        {
          title: 'Age of the snapshot',
          alert: 'PlateauTrainerStateUnsaved',
          thresholds: [
            [null, 'blue'],
            [900, 'orange'],
          ],
          description: 'What a new process would learn again. Grows: the checkpoint store does not take it.',
          unit: 's',
          min: 0,
          queries: [{ expr: gauge('plateau_trainer_snapshot_age_seconds', 'min'), legend: 'age' }],
        },
        {
          title: 'Memory that its parts may take',
          description:
            'Upper bounds, set by the settings; resident memory stays below their sum and what the engine takes.',
          unit: 'bytes',
          min: 0,
          stacked: true,
          queries: [{ expr: gauge('plateau_trainer_memory_bound_bytes', 'max', { by: 'part' }), legend: '{{part}}' }],
        },
        {
          title: 'Published versions',
          description: 'An hour, by the stage that they come from.',
          min: 0,
          queries: [
            { expr: `3600 * ${rate('plateau_trainer_publishes_total', { by: 'origin' })}`, legend: '{{origin}}' },
          ],
        },
        {
          title: 'Checkpoint store',
          description:
            'Operations that did not go well, as a share, and whether the store is there (1) by process. Nothing stops while it is away; no new version goes live.',
          unit: 'percentunit',
          min: 0,
          max: 1,
          queries: [
            {
              expr: failedShare(
                rate('plateau_checkpoint_store_operations_total', { where: 'outcome!~"ok|missing"' }),
                rate('plateau_checkpoint_store_operations_total'),
              ),
              legend: 'not well',
            },
            { expr: gauge('plateau_checkpoint_store_reachable', 'min', { by: 'job' }), legend: 'reachable: {{job}}' },
          ],
        },
      ],
    },
    {
      title: 'The policy',
      panels: [
        {
          title: 'Gain of keep rules',
          description:
            'What held-out alpha gains per 10,000 positions by a rule, more than by random. A rule is used once it is above 0 beyond noise.',
          unit: 'short',
          queries: [{ expr: gauge('plateau_trainer_rule_gain', 'max', { by: 'rule' }), legend: '{{rule}}' }],
        },
        {
          title: 'Weights of bins',
          description: 'What a position counts in the closed form, by its bin of flatness, the most peaked first.',
          unit: 'short',
          min: 0,
          queries: [{ expr: gauge('plateau_trainer_bin_weight', 'max', { by: 'bin' }), legend: 'bin {{bin}}' }],
        },
        {
          title: 'Turns of rules',
          description: 'Measured turns of gradient steps an hour: what trying rules costs.',
          min: 0,
          queries: [{ expr: `3600 * ${rate('plateau_trainer_rule_turns_total', { by: 'rule' })}`, legend: '{{rule}}' }],
        },
      ],
    },
  ],
}
