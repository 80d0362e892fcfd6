import { choice, decimal, defineConfig, flag, integer, share, text } from '@plateau/config'
import { budgets, closedFormWeights, samplings, strategyNames, units } from '@plateau/flatness'

/** The scorer's own settings; the ones that every service has come with the shell. */
export const scorerConfig = defineConfig(
  {
    lineage: text({
      env: 'PLATEAU_LINEAGE',
      default: 'default',
      help: 'Line of drafts whose selection policy is followed, and that changes of the traffic are said of.',
    }),
    strategy: choice({
      env: 'PLATEAU_STRATEGY',
      of: strategyNames,
      default: 'none',
      help: 'How windows are ranked for the gradient stage (none: all are kept), until the selection-policy topic says otherwise.',
    }),
    keep: decimal({
      env: 'PLATEAU_KEEP',
      min: 0,
      max: 1,
      default: 0.5,
      help: 'Share that gradients may use, above 0; the selection-policy topic overrides it.',
    }),
    keepUnit: choice({
      env: 'PLATEAU_KEEP_UNIT',
      of: units,
      default: 'window',
      help: 'What is kept or dropped as one: a window, a sample (a response, as far as it is known), or single tokens; the selection-policy topic overrides it.',
    }),
    keepBudget: choice({
      env: 'PLATEAU_KEEP_BUDGET',
      of: budgets,
      default: 'windows',
      help: 'What the share is a share of; of single tokens always tokens. The selection-policy topic overrides it.',
    }),
    stratify: flag({
      env: 'PLATEAU_STRATIFY',
      default: 'off',
      help: 'Whether the share holds within every domain, not only over all; the selection-policy topic overrides it.',
    }),
    keepSampling: choice({
      env: 'PLATEAU_KEEP_SAMPLING',
      of: samplings,
      default: 'top',
      help: 'top keeps the best share; weighted draws it with probabilities that rise with the score, and counts what is drawn by their inverse. The selection-policy topic overrides it.',
    }),
    closedFormWeight: choice({
      env: 'PLATEAU_CLOSED_FORM_WEIGHT',
      of: closedFormWeights,
      default: 'uniform',
      help: 'Weight of a position in the closed form; the selection-policy topic overrides it.',
    }),
    evaluationShare: share({
      env: 'PLATEAU_EVALUATION_SHARE',
      default: 0.05,
      help: 'Share of samples held out for evaluation, never trained on. Lowering it releases samples to training.',
    }),
    controlShare: share({
      env: 'PLATEAU_CONTROL_SHARE',
      default: 0.05,
      help: 'Share of samples kept at random whatever their score: shows what the policy is worth.',
    }),
    recentWindows: integer({
      env: 'PLATEAU_RECENT_WINDOWS',
      min: 8,
      max: 100_000,
      default: 128,
      help: 'Windows of one partition that the threshold is a quantile of.',
    }),
    warmUpWindows: integer({
      env: 'PLATEAU_WARM_UP_WINDOWS',
      min: 1,
      default: 16,
      help: 'Windows of one partition that are kept before there is a threshold.',
    }),
    batchWindows: integer({
      env: 'PLATEAU_BATCH_WINDOWS',
      min: 1,
      max: 4096,
      default: 64,
      help: 'Windows taken from the log at once, and at most held in memory per partition.',
    }),
  },
  {
    refuse: [
      ({ keep }) => (keep > 0 ? undefined : 'PLATEAU_KEEP is 0: nothing would ever be kept; use a share above 0'),
      ({ evaluationShare, controlShare }) =>
        evaluationShare + controlShare < 1
          ? undefined
          : 'PLATEAU_EVALUATION_SHARE and PLATEAU_CONTROL_SHARE together leave no sample to select from',
      ({ warmUpWindows, recentWindows }) =>
        warmUpWindows <= recentWindows ? undefined : 'PLATEAU_WARM_UP_WINDOWS is above PLATEAU_RECENT_WINDOWS',
    ],
  },
)
