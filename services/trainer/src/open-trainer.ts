import { fileStore, readSigningKey, type CheckpointStore, type SigningKey } from '@plateau/checkpoints'
import type { Values } from '@plateau/config'
import type { EventLog, Lease, Producer } from '@plateau/event-log'
import { readDraftTarget, type DraftTargetModel } from '@plateau/model-files'
import { seededRandom } from '@plateau/speculation'
import type { Logger } from '@plateau/telemetry'
import { readFile } from 'node:fs/promises'
import type { trainerConfig } from './config.js'
import { DraftLine } from './draft-line.js'
import type { TrainerMetrics } from './metrics.js'
import { Trainer } from './trainer.js'

type TrainerConfig = Values<typeof trainerConfig.fields>

export interface TrainerSurroundings {
  readonly log: EventLog
  /** For dead letters. */
  readonly producer: Producer
  readonly logger: Logger
  readonly metrics: TrainerMetrics
  readonly clock: () => number
  readonly beat: () => void
}

/** What does not depend on being the writer: read once, so that a process that cannot train does not stand by. */
export interface TrainerFiles {
  readonly key: SigningKey
  readonly model: DraftTargetModel
  readonly tokenizer: Uint8Array
  readonly store: CheckpointStore
}

const CODE_VERSION = '0.1.0'
/** Of a lineage's random features, its untrained first version and the order of replay. */
const SEED = 1

export async function readTrainerFiles(config: TrainerConfig): Promise<TrainerFiles> {
  const key = await readSigningKey(config.signingKeyFile)
  const model = await readDraftTarget(config.model)
  const tokenizer = await readFile(model.tokenizerPath)
  return { key, model, tokenizer, store: fileStore(config.checkpoints) }
}

/** A trainer that continues the lineage as its writer. */
export async function openTrainer(
  config: TrainerConfig,
  files: TrainerFiles,
  lease: Lease,
  around: TrainerSurroundings,
): Promise<Trainer> {
  const { model } = files
  const random = seededRandom(SEED)
  const line = await DraftLine.open(
    {
      lineage: config.lineage,
      keepVersions: config.keepVersions,
      codeVersion: CODE_VERSION,
      config: {
        hiddenSize: model.config.hiddenSize,
        vocabSize: model.config.vocabSize,
        bilinearFeatures: config.bilinearFeatures,
        rmsNormEps: model.config.rmsNormEps,
        layer: undefined,
      },
    },
    { ...around, ...files, producer: lease.producer, random },
  )
  return Trainer.open(config, { ...around, ...files, lease, line, random })
}
