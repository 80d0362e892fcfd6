import { draftLosses } from '@plateau/causal-lm'
import {
  choice,
  decimal,
  defineConfig,
  existingDirectory,
  existingFile,
  existingPath,
  flag,
  integer,
  list,
  mergeConfigs,
  optional,
  seconds,
  share,
  text,
} from '@plateau/config'
import { checkpointsConfig } from '@plateau/service-kit'
import { NO_TRIALS, triedStrategies } from './kinds/trial-rules.js'
import { weightBinChoices } from './policy/weight-bins.js'

const ownConfig = defineConfig(
  {
    model: existingPath({
      env: 'PLATEAU_MODEL',
      help: "The target's Hugging Face directory or GGUF file: drafts share its embeddings, final norm and output head.",
    }),
    signingKeyFile: existingFile({
      env: 'PLATEAU_SIGNING_KEY_FILE',
      help: 'Ed25519 private key (PEM, readable by its owner only) that checkpoints are signed with.',
    }),
    lineage: text({ env: 'PLATEAU_LINEAGE', default: 'default', help: "Which draft's line of versions to train." }),
    writerTimeoutMs: seconds({
      env: 'PLATEAU_WRITER_TIMEOUT_SECONDS',
      default: 15,
      min: 1,
      help: "A trainer that was silent for this long is no longer the lineage's writer: one that stands by takes over.",
    }),
    keepVersions: integer({
      env: 'PLATEAU_KEEP_VERSIONS',
      default: 16,
      min: 2,
      help: 'Newest versions kept in the checkpoint store; the first one always stays.',
    }),
    draft: choice({
      env: 'PLATEAU_DRAFT',
      of: ['feature-head', 'causal-lm'],
      default: 'feature-head',
      help: "feature-head: fed with the target's hidden states. causal-lm: a small model that reads tokens only.",
    }),
    warmStart: optional(
      existingDirectory({
        env: 'PLATEAU_WARM_START',
        help: 'A draft directory (as plateau train writes it) that a new lineage begins with, for this target.',
      }),
    ),
    priorPositions: integer({
      env: 'PLATEAU_PRIOR_POSITIONS',
      default: 15_000,
      min: 1,
      help: 'As how many positions it counts in the closed form what a warm start has seen.',
    }),
    draftVocabulary: integer({
      env: 'PLATEAU_DRAFT_VOCABULARY',
      default: 0,
      help: "So many of the target's tokens, the most frequent ones of the live stream, are proposed from; 0 = all.",
    }),
    causalLmHiddenSize: integer({
      env: 'PLATEAU_CAUSAL_LM_HIDDEN_SIZE',
      default: 256,
      min: 16,
      max: 8192,
      help: "Width of a new lineage's causal-lm draft; a multiple of 64 where it is larger.",
    }),
    causalLmLayers: integer({
      env: 'PLATEAU_CAUSAL_LM_LAYERS',
      default: 2,
      min: 1,
      max: 64,
      help: "Layers of a new lineage's causal-lm draft.",
    }),
    bilinearFeatures: integer({
      env: 'PLATEAU_BILINEAR_FEATURES',
      default: 512,
      max: 8192,
      help: 'Random bilinear features of a new lineage: more predict better, and cost more per solve and draft step.',
    }),
    ridgeLambda: decimal({
      env: 'PLATEAU_RIDGE_LAMBDA',
      default: 30,
      min: 1e-3,
      help: 'Regularisation of the closed form; random features are held ten times as strongly.',
    }),
    halfLifePositions: integer({
      env: 'PLATEAU_HALF_LIFE_POSITIONS',
      default: 30_000,
      min: 1000,
      help: 'Positions after which the closed form counts a position half: shorter follows a shift faster.',
    }),
    tenantShare: decimal({
      env: 'PLATEAU_TENANT_SHARE',
      default: 0.5,
      min: 0.01,
      max: 1,
      help: 'Most of what is learned from that one tenant may bring while others bring something; PLATEAU_HALF_LIFE_POSITIONS in ten minutes it always may. 1: no bound.',
    }),
    partitions: optional(
      list(
        integer({
          env: 'PLATEAU_PARTITIONS',
          help: 'Partitions of training-windows that this trainer reads, such as 0,1; default: all.',
        }),
      ),
    ),
    trainDomains: optional(
      list(
        text({
          env: 'PLATEAU_TRAIN_DOMAINS',
          help: 'Domains that this lineage learns from, such as chat,code; an empty name stands for traffic without one. Default: all.',
        }),
      ),
    ),
    trainTenants: optional(
      list(
        text({
          env: 'PLATEAU_TRAIN_TENANTS',
          help: 'Tenants that this lineage learns from; an empty name stands for the default tenant. Default: all.',
        }),
      ),
    ),
    mergeLineages: optional(
      list(
        text({
          env: 'PLATEAU_MERGE_LINEAGES',
          help: 'Lineages whose trainers read the other partitions, in the same store: their sums are merged with ours.',
        }),
      ),
    ),
    sumCells: integer({
      env: 'PLATEAU_SUM_CELLS',
      default: 8,
      min: 2,
      max: 1024,
      help: 'Domains and tenants whose sums the closed form keeps apart; memory grows with it.',
    }),
    learnPolicy: flag({
      env: 'PLATEAU_LEARN_POLICY',
      default: 'on',
      help: "Learns what the scorer should select and publishes it as the lineage's policy; off: what was published last holds.",
    }),
    weightBins: choice({
      env: 'PLATEAU_WEIGHT_BINS',
      of: weightBinChoices,
      default: 'flatness',
      help: 'What positions are told apart by when weights in the closed form are learned; each bin takes memory as a cell of PLATEAU_SUM_CELLS.',
    }),
    trialStrategies: list(
      choice({
        env: 'PLATEAU_TRIAL_RULES',
        of: [NO_TRIALS, ...triedStrategies],
        default: 'random,flatness,least-flat,draft-gain',
        help: 'Keep rules that gradient steps take turns by, to find which one gains most per position; off: none.',
      }),
    ),
    trialKeep: share({
      env: 'PLATEAU_TRIAL_KEEP',
      default: 0.5,
      help: 'Share of windows that each of PLATEAU_TRIAL_RULES keeps, within every domain.',
    }),
    gradients: flag({ env: 'PLATEAU_GRADIENTS', default: 'on', help: 'off: only the closed form learns.' }),
    gradientShare: share({
      env: 'PLATEAU_GRADIENT_SHARE',
      default: 0.5,
      help: 'Most of the time that gradient steps may take; windows and solves come first in any case.',
    }),
    loss: choice({
      env: 'PLATEAU_LOSS',
      of: draftLosses,
      default: 'tv',
      help: 'Loss of gradient steps: total variation (1 - alpha), KL, or KL that gives way to TV where alpha is high.',
    }),
    unrollSteps: integer({
      env: 'PLATEAU_UNROLL_STEPS',
      default: 1,
      min: 1,
      max: 4,
      help: 'So many tokens ahead a feature head is trained on its own states; each step costs about as much again.',
    }),
    learningRate: decimal({
      env: 'PLATEAU_LEARNING_RATE',
      default: 5e-4,
      min: 0,
      max: 1,
      help: 'Peak learning rate of the gradient stage.',
    }),
    replayPositions: integer({
      env: 'PLATEAU_REPLAY_POSITIONS',
      default: 30_000,
      min: 512,
      help: 'Positions that gradient steps may come back to.',
    }),
    evaluationPositions: integer({
      env: 'PLATEAU_EVALUATION_POSITIONS',
      default: 768,
      min: 64,
      help: 'Newest positions of the evaluation arm that versions are compared on.',
    }),
    evaluationMaxAgeMs: seconds({
      env: 'PLATEAU_EVALUATION_MAX_AGE_SECONDS',
      default: 900,
      help: 'Held-out positions captured longer ago are not used.',
    }),
    minPublishMs: seconds({
      env: 'PLATEAU_MIN_PUBLISH_SECONDS',
      default: 5,
      help: 'Least time between two versions.',
    }),
    testFirstPositions: integer({
      env: 'PLATEAU_TEST_FIRST_POSITIONS',
      default: 512,
      help: 'Newest training positions that versions are compared on before they are trained on.',
    }),
    checkpointDtype: choice({
      env: 'PLATEAU_CHECKPOINT_DTYPE',
      of: ['F16', 'BF16', 'F32'],
      default: 'F16',
      help: 'How the weights of versions are stored; versions are compared as stored. Learning is in F32.',
    }),
    snapshotMs: seconds({
      env: 'PLATEAU_SNAPSHOT_SECONDS',
      default: 5,
      min: 0.05,
      help: 'How often the state to continue from is saved while windows arrive.',
    }),
    threads: integer({ env: 'PLATEAU_THREADS', default: 1, min: 1, max: 256, help: 'Threads of the arithmetic.' }),
    executionProvider: choice({
      env: 'PLATEAU_EXECUTION_PROVIDER',
      of: ['cpu', 'cuda'],
      default: 'cpu',
      help: "What gradient steps run on; cuda needs onnxruntime-node's CUDA libraries and a GPU.",
    }),
    niceness: integer({
      env: 'PLATEAU_NICENESS',
      default: 19,
      max: 19,
      help: 'Scheduling priority, 19 = only what others leave.',
    }),
  },
  {
    refuse: [
      ({ gradients, gradientShare }) =>
        gradients && gradientShare === 0 ? 'PLATEAU_GRADIENT_SHARE is 0: set PLATEAU_GRADIENTS=off instead' : undefined,
      ({ draft, gradients }) =>
        draft === 'causal-lm' && !gradients
          ? 'PLATEAU_DRAFT=causal-lm learns by gradients only: set PLATEAU_GRADIENTS=on'
          : undefined,
      ({ draft, unrollSteps }) =>
        draft === 'causal-lm' && unrollSteps > 1 ? 'PLATEAU_UNROLL_STEPS is for PLATEAU_DRAFT=feature-head' : undefined,
      ({ draft, mergeLineages }) =>
        draft === 'causal-lm' && mergeLineages !== undefined
          ? 'PLATEAU_MERGE_LINEAGES merges the sums of PLATEAU_DRAFT=feature-head: a causal-lm has none'
          : undefined,
      ({ lineage, mergeLineages }) =>
        mergeLineages?.includes(lineage) ? 'PLATEAU_MERGE_LINEAGES names PLATEAU_LINEAGE itself' : undefined,
      ({ trialStrategies }) =>
        trialStrategies.includes(NO_TRIALS) && trialStrategies.length > 1
          ? 'PLATEAU_TRIAL_RULES is off and names rules: leave one of them out'
          : undefined,
      ({ trialKeep }) => (trialKeep === 0 ? 'PLATEAU_TRIAL_KEEP is 0: nothing would be kept' : undefined),
    ],
  },
)

/** The trainer's settings; the ones that every service has come with the shell. */
export const trainerConfig = mergeConfigs(checkpointsConfig, ownConfig)
