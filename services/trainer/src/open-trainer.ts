import { fileStore, readSigningKey } from '@plateau/checkpoints'
import type { Values } from '@plateau/config'
import type { EventLog } from '@plateau/event-log'
import { readDraftTarget } from '@plateau/model-files'
import { seededRandom } from '@plateau/speculation'
import type { Logger } from '@plateau/telemetry'
import { readFile } from 'node:fs/promises'
import type { trainerConfig } from './config.js'
import { trainerDeadLetters } from './dead-letters.js'
import { DraftLine } from './draft-line.js'
import type { TrainerMetrics } from './metrics.js'
import { Trainer } from './trainer.js'

export { trainerDeadLetters }

export interface TrainerSurroundings {
  readonly log: EventLog
  readonly logger: Logger
  readonly metrics: TrainerMetrics
  readonly clock: () => number
  readonly beat: () => void
}

const CODE_VERSION = '0.1.0'
/** Of a lineage's random features, its untrained first version and the order of replay. */
const SEED = 1

/** A trainer on the files that the configuration names. `close` frees what `Trainer.close` does not own. */
export async function openTrainer(
  config: Values<typeof trainerConfig.fields>,
  around: TrainerSurroundings,
): Promise<{ readonly trainer: Trainer; readonly close: () => Promise<void> }> {
  const key = await readSigningKey(config.signingKeyFile)
  const model = await readDraftTarget(config.model)
  const store = fileStore(config.checkpoints)
  const producer = around.log.producer()
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
    { ...around, producer, store, key, model, random, tokenizer: await readFile(model.tokenizerPath) },
  )
  const trainer = await Trainer.open(config, { ...around, producer, store, line, model, random })
  return { trainer, close: () => producer.close() }
}
