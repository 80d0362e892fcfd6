import type { CausalLmConfig } from '@plateau/causal-lm'

export type PresetName = 'demo' | 'tiny'

/** A stretch of the run with one depth. The next stage starts from copies of this one's layers. */
export interface TrainingStage {
  readonly layers: number
  /** Ends when this share of the run's time is over. */
  readonly until: number
}

export interface TrainingPreset {
  readonly description: string
  readonly config: CausalLmConfig
  readonly stages: readonly TrainingStage[]
  readonly sequences: number
  readonly positions: number
  readonly minutes: number
  readonly peakLearningRate: number
  /** At the start of every stage. */
  readonly warmUpSteps: number
}

/** Every configuration speaks the tokenizer that prepare.ts writes. */
const shared = {
  vocabSize: 4096,
  headDim: 64,
  rmsNormEps: 1e-5,
  ropeTheta: 10_000,
  maxPositions: 1024,
  tieEmbeddings: true,
  bosTokenId: 0,
  eosTokenIds: [0],
}

export const presets: Readonly<Record<PresetName, TrainingPreset>> = {
  demo: {
    description: 'The target model of the demo: deep and narrow, so that a forward pass is worth speculating about.',
    config: { ...shared, hiddenSize: 256, layers: 16, heads: 4, kvHeads: 4, intermediateSize: 704 },
    stages: [
      { layers: 4, until: 0.3 },
      { layers: 8, until: 0.55 },
      { layers: 16, until: 1 },
    ],
    sequences: 8,
    positions: 256,
    minutes: 65,
    peakLearningRate: 2e-3,
    warmUpSteps: 100,
  },
  tiny: {
    description: 'A very small model for tests: it knows common words, not much more.',
    config: { ...shared, hiddenSize: 64, layers: 2, heads: 1, kvHeads: 1, intermediateSize: 176 },
    stages: [{ layers: 2, until: 1 }],
    sequences: 8,
    positions: 128,
    minutes: 2,
    peakLearningRate: 5e-3,
    warmUpSteps: 50,
  },
}
