import type { MetricTable } from './declarations.js'

export const trainerMetrics = {
  plateau_trainer_windows_total: {
    kind: 'counter',
    unit: '{window}',
    help: 'Windows consumed by this process.',
    labels: {
      arm: 'selected, control or evaluation',
      decision: 'keep or drop',
    },
  },
  plateau_trainer_duplicate_windows_total: {
    kind: 'counter',
    unit: '{window}',
    help: 'Windows dropped because their ce_id had been consumed before.',
  },
  plateau_trainer_dead_lettered_total: {
    kind: 'counter',
    unit: '{record}',
    help: 'Records that could not be used and went to the dead-letter topic.',
    labels: {
      reason: 'code of the error',
    },
  },
  plateau_trainer_unusable_windows_total: {
    kind: 'counter',
    unit: '{window}',
    help: 'Well-formed windows that the closed form or any stage could not learn from.',
    labels: {
      reason: 'code of the error; SUMS_FULL: too many tenants',
    },
  },
  plateau_trainer_other_traffic_windows_total: {
    kind: 'counter',
    unit: '{window}',
    help: 'Windows passed over because they are of a domain or tenant that this lineage does not learn from.',
  },
  plateau_trainer_over_share_windows_total: {
    kind: 'counter',
    unit: '{window}',
    help: 'Windows passed over because their tenant has brought its share (PLATEAU_TENANT_SHARE).',
  },
  plateau_trainer_forgotten_windows_total: {
    kind: 'counter',
    unit: '{window}',
    help: 'Windows passed over because their tenant is to be forgotten.',
  },
  plateau_trainer_lineage_windows: {
    kind: 'gauge',
    unit: '{window}',
    help: 'Windows of the lineage consumed so far, each counted once over all processes.',
    labels: {
      arm: 'selected, control or evaluation',
      decision: 'keep or drop',
    },
  },
  plateau_trainer_closed_form_positions: {
    kind: 'gauge',
    unit: '{position}',
    help: 'Positions of the lineage that went into the closed form so far, each counted once.',
  },
  plateau_trainer_gradient_fresh_positions: {
    kind: 'gauge',
    unit: '{position}',
    help: 'Positions of the lineage that gradients have used at least once, each counted once.',
  },
  plateau_trainer_step_positions_total: {
    kind: 'counter',
    unit: '{position}',
    help: 'Positions that gradient steps of this process used, fresh and replayed; its rate is their tokens per second.',
  },
  plateau_trainer_replayed_positions_total: {
    kind: 'counter',
    unit: '{position}',
    help: 'Positions that gradient steps of this process used again.',
  },
  plateau_trainer_held_out_positions: {
    kind: 'gauge',
    unit: '{position}',
    help: 'Recent positions, unseen by training, that versions are compared on.',
  },
  plateau_trainer_solves_total: {
    kind: 'counter',
    unit: '{solution}',
    help: 'Solutions of the closed form.',
  },
  plateau_trainer_solve_seconds: {
    kind: 'histogram',
    unit: 's',
    help: 'Time of one solution, its calibration and evaluation included.',
    buckets: [0.03, 0.1, 0.3, 1, 3, 10],
  },
  plateau_trainer_step_seconds: {
    kind: 'histogram',
    unit: 's',
    help: 'Time of one gradient step.',
    buckets: [0.01, 0.03, 0.1, 0.3, 1, 3],
  },
  plateau_trainer_steps_total: {
    kind: 'counter',
    unit: '{step}',
    help: 'Gradient steps.',
    labels: {
      result: 'applied; skipped: loss or gradient not finite; restored: back to the last good state',
    },
  },
  plateau_trainer_busy_seconds_total: {
    kind: 'counter',
    unit: 's',
    help: 'Time that this process worked; its rate is the utilisation.',
    labels: {
      work: 'admit, refresh, learn, step, contest or save',
    },
  },
  plateau_trainer_utilisation: {
    kind: 'gauge',
    unit: '1',
    help: 'Share of the last full minute that this process worked.',
  },
  plateau_trainer_memory_bound_bytes: {
    kind: 'gauge',
    unit: 'By',
    help: 'The most memory that its larger parts take.',
    labels: {
      part: 'sums, weight_learning, replay, counts, optimizer, target or held_back',
    },
  },
  plateau_trainer_loss: {
    kind: 'gauge',
    unit: '1',
    help: 'Loss of the last gradient step, before it: 1 - alpha for TV, nats for KL.',
  },
  plateau_trainer_gradient_norm: {
    kind: 'gauge',
    unit: '1',
    help: 'Length of the last gradient, before clipping.',
  },
  plateau_trainer_held_out_alpha: {
    kind: 'gauge',
    unit: '1',
    help: 'Mean alpha on recent unseen positions (a certified lower bound).',
    labels: {
      draft:
        'incumbent; refused: the newest version, where serving has refused it; closed-form, gradients or foundation',
    },
  },
  plateau_trainer_versions_refused_total: {
    kind: 'counter',
    unit: '{version}',
    help: 'Versions of the lineage that serving rejected or rolled back while this process trained, by whom.',
    labels: {
      by: 'serving or operator',
    },
  },
  plateau_trainer_version: {
    kind: 'gauge',
    unit: '1',
    help: 'Newest version of the lineage.',
  },
  plateau_trainer_publishes_total: {
    kind: 'counter',
    unit: '{version}',
    help: 'Versions published.',
    labels: {
      origin: 'closed-form, gradients; foundation: after a tenant was forgotten',
    },
  },
  plateau_trainer_policy_gain: {
    kind: 'gauge',
    unit: '1',
    help: 'What the selection policy gains over random at the same number of positions, on held-out positions.',
    labels: {
      stage: 'closed-form: in alpha; gradients: in alpha per 10,000 trained positions',
    },
    stability: 'development',
  },
  plateau_trainer_policy_gain_standard_error: {
    kind: 'gauge',
    unit: '1',
    help: 'Standard error of plateau_trainer_policy_gain.',
    labels: {
      stage: 'closed-form or gradients',
    },
    stability: 'development',
  },
  plateau_trainer_rule_turns_total: {
    kind: 'counter',
    unit: '{turn}',
    help: 'Turns of gradient steps that were measured, by the rule whose windows they took.',
    labels: {
      rule: 'name of the keep rule',
    },
    stability: 'development',
  },
  plateau_trainer_rule_gain: {
    kind: 'gauge',
    unit: '1',
    help: 'What held-out alpha gains per 10,000 positions trained on by a keep rule, more than by random, over recent turns.',
    labels: {
      rule: 'name of the keep rule',
    },
    stability: 'development',
  },
  plateau_trainer_rule_gain_standard_error: {
    kind: 'gauge',
    unit: '1',
    help: 'Standard error of plateau_trainer_rule_gain.',
    labels: {
      rule: 'name of the keep rule',
    },
    stability: 'development',
  },
  plateau_trainer_bin_weight: {
    kind: 'gauge',
    unit: '1',
    help: 'What a position counts in the closed form by the policy.',
    labels: {
      bin: 'from 0, the most peaked positions first',
    },
    stability: 'development',
  },
  plateau_trainer_weight_learnings_total: {
    kind: 'counter',
    unit: '{learning}',
    help: 'Times that the weights of bins were learned.',
    labels: {
      result: 'changed; kept: nothing was better beyond noise',
    },
    stability: 'development',
  },
  plateau_trainer_policies_published_total: {
    kind: 'counter',
    unit: '{policy}',
    help: 'Selection policies published.',
    labels: {
      reason: 'changed; heartbeat: new figures behind the same decision',
    },
  },
  plateau_trainer_role: {
    kind: 'gauge',
    unit: '1',
    help: 'What this process is to the lineage: 1 for the one that it is, 0 for the other.',
    labels: {
      role: 'writer or standby',
    },
  },
  plateau_trainer_epoch: {
    kind: 'gauge',
    unit: '1',
    help: 'Epoch of the newest writer that this process was; each writer of the lineage has a higher one.',
  },
  plateau_trainer_snapshot_age_seconds: {
    kind: 'gauge',
    unit: 's',
    help: 'Time since the state to continue from was saved.',
  },
} as const satisfies MetricTable
