import type { Metrics } from '@plateau/telemetry'

export type TrainerMetrics = ReturnType<typeof declareTrainerMetrics>

/** Every metric of the trainer, declared once. */
export function declareTrainerMetrics(metrics: Metrics) {
  return {
    windows: metrics.counter('plateau_trainer_windows_total'),
    duplicates: metrics.counter('plateau_trainer_duplicate_windows_total'),
    deadLettered: metrics.counter('plateau_trainer_dead_lettered_total'),
    unusable: metrics.counter('plateau_trainer_unusable_windows_total'),
    otherTraffic: metrics.counter('plateau_trainer_other_traffic_windows_total'),
    overShare: metrics.counter('plateau_trainer_over_share_windows_total'),
    forgotten: metrics.counter('plateau_trainer_forgotten_windows_total'),
    lineageWindows: metrics.gauge('plateau_trainer_lineage_windows'),
    closedFormPositions: metrics.gauge('plateau_trainer_closed_form_positions'),
    gradientPositions: metrics.gauge('plateau_trainer_gradient_fresh_positions'),
    stepPositions: metrics.counter('plateau_trainer_step_positions_total'),
    replayedPositions: metrics.counter('plateau_trainer_replayed_positions_total'),
    heldOutPositions: metrics.gauge('plateau_trainer_held_out_positions'),
    solves: metrics.counter('plateau_trainer_solves_total'),
    solveSeconds: metrics.histogram('plateau_trainer_solve_seconds'),
    stepSeconds: metrics.histogram('plateau_trainer_step_seconds'),
    steps: metrics.counter('plateau_trainer_steps_total'),
    busySeconds: metrics.counter('plateau_trainer_busy_seconds_total'),
    utilisation: metrics.gauge('plateau_trainer_utilisation'),
    memoryBytes: metrics.gauge('plateau_trainer_memory_bound_bytes'),
    loss: metrics.gauge('plateau_trainer_loss'),
    gradientNorm: metrics.gauge('plateau_trainer_gradient_norm'),
    alpha: metrics.gauge('plateau_trainer_held_out_alpha'),
    versionsRefused: metrics.counter('plateau_trainer_versions_refused_total'),
    version: metrics.gauge('plateau_trainer_version'),
    publishes: metrics.counter('plateau_trainer_publishes_total'),
    policyGain: metrics.gauge('plateau_trainer_policy_gain'),
    policyGainError: metrics.gauge('plateau_trainer_policy_gain_standard_error'),
    ruleTurns: metrics.counter('plateau_trainer_rule_turns_total'),
    ruleGain: metrics.gauge('plateau_trainer_rule_gain'),
    ruleGainError: metrics.gauge('plateau_trainer_rule_gain_standard_error'),
    binWeight: metrics.gauge('plateau_trainer_bin_weight'),
    weightLearnings: metrics.counter('plateau_trainer_weight_learnings_total'),
    policiesPublished: metrics.counter('plateau_trainer_policies_published_total'),
    role: metrics.gauge('plateau_trainer_role'),
    epoch: metrics.gauge('plateau_trainer_epoch'),
    snapshotAge: metrics.gauge('plateau_trainer_snapshot_age_seconds'),
  }
}
