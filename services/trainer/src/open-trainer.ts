import { readSigningKey, type CheckpointStore, type SigningKey } from '@plateau/checkpoints'
import type { Values } from '@plateau/config'
import type { EventLog, Lease, Producer } from '@plateau/event-log'
import type { Logger } from '@plateau/telemetry'
import type { trainerConfig } from './config.js'
import { DraftLine } from './draft-line.js'
import { openDraftKind, type OpenedKind } from './kinds/draft-kinds.js'
import type { TrainerMetrics } from './metrics.js'
import { PolicyPublisher } from './policy/policy-publisher.js'
import { ServingVerdicts } from './serving-verdicts.js'
import { Trainer } from './trainer.js'
import type { Term } from './writer-terms.js'

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
  readonly kind: OpenedKind
  readonly store: CheckpointStore
}

const CODE_VERSION = '0.1.0'

export async function readTrainerFiles(config: TrainerConfig): Promise<Omit<TrainerFiles, 'store'>> {
  const key = await readSigningKey(config.signingKeyFile)
  const kind = await openDraftKind(config)
  return { key, kind }
}

/** A trainer that continues the lineage as its writer. */
export function openTrainer(
  config: TrainerConfig,
  files: TrainerFiles,
  lease: Lease,
  around: TrainerSurroundings,
): Promise<Term> {
  const { lineage, keepVersions, learnPolicy } = config
  return files.kind.use(async (kind) => {
    const verdicts = new ServingVerdicts({ ...around, lineage })
    const parts = { ...around, ...files, kind, model: files.kind.model, verdicts }
    const line = await DraftLine.open(
      { lineage, keepVersions, codeVersion: CODE_VERSION },
      { ...parts, producer: lease.producer },
    )
    const policy = learnPolicy ? await PolicyPublisher.open({ ...parts, lineage, producer: lease.producer }) : undefined
    return Trainer.open(config, { ...parts, lease, line, policy })
  })
}
