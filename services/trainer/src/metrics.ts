import type { Metrics } from '@plateau/telemetry'

export type TrainerMetrics = ReturnType<typeof declareTrainerMetrics>

/** Every metric of the trainer, declared once. */
export function declareTrainerMetrics(metrics: Metrics) {
  return {
    windows: metrics.counter<'arm' | 'decision'>({
      name: 'plateau_trainer_windows_total',
      help: 'Windows consumed by this process, by arm (selected, control, evaluation) and decision (keep, drop).',
      labels: ['arm', 'decision'],
    }),
    duplicates: metrics.counter({
      name: 'plateau_trainer_duplicate_windows_total',
      help: 'Windows dropped because their ce_id had been consumed before.',
    }),
    deadLettered: metrics.counter<'reason'>({
      name: 'plateau_trainer_dead_lettered_total',
      help: 'Records that could not be used and went to the dead-letter topic, by reason.',
      labels: ['reason'],
    }),
    unusable: metrics.counter<'reason'>({
      name: 'plateau_trainer_unusable_windows_total',
      help: 'Well-formed windows that the closed form or any stage could not learn from, by reason (SUMS_FULL: too many tenants).',
      labels: ['reason'],
    }),
    otherTraffic: metrics.counter({
      name: 'plateau_trainer_other_traffic_windows_total',
      help: 'Windows passed over because they are of a domain or tenant that this lineage does not learn from.',
    }),
    forgotten: metrics.counter({
      name: 'plateau_trainer_forgotten_windows_total',
      help: 'Windows passed over because their tenant is to be forgotten.',
    }),
    lineageWindows: metrics.gauge<'arm' | 'decision'>({
      name: 'plateau_trainer_lineage_windows',
      help: 'Windows of the lineage consumed so far, each counted once over all processes, by arm and decision.',
      labels: ['arm', 'decision'],
    }),
    closedFormPositions: metrics.gauge({
      name: 'plateau_trainer_closed_form_positions',
      help: 'Positions of the lineage that went into the closed form so far, each counted once.',
    }),
    gradientPositions: metrics.gauge({
      name: 'plateau_trainer_gradient_fresh_positions',
      help: 'Positions of the lineage that gradients have used at least once, each counted once.',
    }),
    stepPositions: metrics.counter({
      name: 'plateau_trainer_step_positions_total',
      help: 'Positions that gradient steps of this process used, fresh and replayed; its rate is their tokens per second.',
    }),
    replayedPositions: metrics.counter({
      name: 'plateau_trainer_replayed_positions_total',
      help: 'Positions that gradient steps of this process used again.',
    }),
    heldOutPositions: metrics.gauge({
      name: 'plateau_trainer_held_out_positions',
      help: 'Recent positions, unseen by training, that versions are compared on.',
    }),
    solves: metrics.counter({
      name: 'plateau_trainer_solves_total',
      help: 'Solutions of the closed form.',
    }),
    solveSeconds: metrics.histogram({
      name: 'plateau_trainer_solve_seconds',
      help: 'Time of one solution, its calibration and evaluation included.',
      buckets: [0.03, 0.1, 0.3, 1, 3, 10],
    }),
    stepSeconds: metrics.histogram({
      name: 'plateau_trainer_step_seconds',
      help: 'Time of one gradient step.',
      buckets: [0.01, 0.03, 0.1, 0.3, 1, 3],
    }),
    steps: metrics.counter<'result'>({
      name: 'plateau_trainer_steps_total',
      help: 'Gradient steps, by result (applied; skipped: loss or gradient not finite; restored: back to the last good state).',
      labels: ['result'],
    }),
    busySeconds: metrics.counter<'work'>({
      name: 'plateau_trainer_busy_seconds_total',
      help: 'Time that this process worked, by work (admit, refresh, learn, step, contest, save); its rate is the utilisation.',
      labels: ['work'],
    }),
    utilisation: metrics.gauge({
      name: 'plateau_trainer_utilisation',
      help: 'Share of the last full minute that this process worked.',
    }),
    memoryBytes: metrics.gauge<'part'>({
      name: 'plateau_trainer_memory_bound_bytes',
      help: 'The most memory that its larger parts take, by part (sums, weight_learning, replay, counts, optimizer, target, held_back).',
      labels: ['part'],
    }),
    loss: metrics.gauge({
      name: 'plateau_trainer_loss',
      help: 'Loss of the last gradient step, before it: 1 - alpha for TV, nats for KL.',
    }),
    gradientNorm: metrics.gauge({
      name: 'plateau_trainer_gradient_norm',
      help: 'Length of the last gradient, before clipping.',
    }),
    alpha: metrics.gauge<'draft'>({
      name: 'plateau_trainer_held_out_alpha',
      help: 'Mean alpha on recent unseen positions (a certified lower bound), by draft (incumbent; refused: the newest version, where serving has refused it; closed-form, gradients, foundation).',
      labels: ['draft'],
    }),
    versionsRefused: metrics.counter<'by'>({
      name: 'plateau_trainer_versions_refused_total',
      help: 'Versions of the lineage that serving rejected or rolled back while this process trained, by whom (serving, operator).',
      labels: ['by'],
    }),
    version: metrics.gauge({
      name: 'plateau_trainer_version',
      help: 'Newest version of the lineage.',
    }),
    publishes: metrics.counter<'origin'>({
      name: 'plateau_trainer_publishes_total',
      help: 'Versions published, by origin (closed-form, gradients; foundation: after a tenant was forgotten).',
      labels: ['origin'],
    }),
    policyGain: metrics.gauge<'stage'>({
      name: 'plateau_trainer_policy_gain',
      help: 'What the selection policy gains over random at the same number of positions, on held-out positions, by stage (closed-form: in alpha; gradients: in alpha per 10,000 trained positions).',
      labels: ['stage'],
    }),
    policyGainError: metrics.gauge<'stage'>({
      name: 'plateau_trainer_policy_gain_standard_error',
      help: 'Standard error of plateau_trainer_policy_gain, by stage (closed-form, gradients).',
      labels: ['stage'],
    }),
    ruleTurns: metrics.counter<'rule'>({
      name: 'plateau_trainer_rule_turns_total',
      help: 'Turns of gradient steps that were measured, by the keep rule whose windows they took.',
      labels: ['rule'],
    }),
    ruleGain: metrics.gauge<'rule'>({
      name: 'plateau_trainer_rule_gain',
      help: 'What held-out alpha gains per 10,000 positions trained on by a keep rule, more than by random, over recent turns, by rule.',
      labels: ['rule'],
    }),
    ruleGainError: metrics.gauge<'rule'>({
      name: 'plateau_trainer_rule_gain_standard_error',
      help: 'Standard error of plateau_trainer_rule_gain, by rule.',
      labels: ['rule'],
    }),
    binWeight: metrics.gauge<'bin'>({
      name: 'plateau_trainer_bin_weight',
      help: 'What a position counts in the closed form by the policy, by bin (from 0, the most peaked positions first).',
      labels: ['bin'],
    }),
    weightLearnings: metrics.counter<'result'>({
      name: 'plateau_trainer_weight_learnings_total',
      help: 'Times that the weights of bins were learned, by result (changed; kept: nothing was better beyond noise).',
      labels: ['result'],
    }),
    policiesPublished: metrics.counter<'reason'>({
      name: 'plateau_trainer_policies_published_total',
      help: 'Selection policies published, by reason (changed; heartbeat: new figures behind the same decision).',
      labels: ['reason'],
    }),
    role: metrics.gauge<'role'>({
      name: 'plateau_trainer_role',
      help: 'What this process is to the lineage, by role (writer, standby): 1 for the one that it is, 0 for the other.',
      labels: ['role'],
    }),
    epoch: metrics.gauge({
      name: 'plateau_trainer_epoch',
      help: 'Epoch of the newest writer that this process was; each writer of the lineage has a higher one.',
    }),
    snapshotAge: metrics.gauge({
      name: 'plateau_trainer_snapshot_age_seconds',
      help: 'Time since the state to continue from was saved.',
    }),
  }
}
