import { fileStore, type CheckpointStore } from '@plateau/checkpoints'
import { Arm, Decision, ScoredWindow, topics, TrainingWindow } from '@plateau/contracts'
import type { Cluster } from '@plateau/demo'
import { decodeSafetensors } from '@plateau/model-files'
import { readAll } from './read-all.js'

/** What the log and the trainer's own state say happened to every window. Windows are named "<sample>/<index>". */
export interface Ledger {
  readonly captured: ReadonlySet<string>
  /** Every distinct decision made about a window. */
  readonly decisions: ReadonlyMap<string, ReadonlySet<string>>
  readonly forTraining: ReadonlySet<string>
  /** Distinct windows by "<arm>/<decision>", as the topics hold them. */
  readonly inTopic: Readonly<Record<string, number>>
  /** The same, as the trainer counted them over its lives. */
  readonly inTrainer: Readonly<Record<string, number>>
}

interface TrainerFacts {
  readonly windows: Readonly<Record<string, number>>
}

/** Reads what stopped services have left behind. */
export async function readLedger(
  cluster: Cluster,
  store: CheckpointStore = fileStore(cluster.checkpointDirectory),
): Promise<Ledger> {
  const log = await cluster.openEventLog()
  try {
    const captured = new Set<string>()
    for (const record of await readAll(log, topics.tokenDistributions.name)) {
      captured.add(record.headers['ce_id']!.replace('window:', '').replaceAll(':', '/'))
    }
    const decisions = new Map<string, Set<string>>()
    for (const { value } of await readAll(log, topics.scoredTokens.name)) {
      const scored = ScoredWindow.decode(value!)
      const window = `${scored.sampleId}/${scored.windowIndex}`
      const decision = `${armName(scored.arm)}/${decisionName(scored.decision)} ${scored.score} ${scored.sourceOffset}`
      decisions.set(window, (decisions.get(window) ?? new Set()).add(decision))
    }
    const forTraining = new Map<string, string>()
    for (const { value } of await readAll(log, topics.trainingWindows.name)) {
      const { window, arm, decision } = TrainingWindow.decode(value!)
      forTraining.set(`${window!.sampleId}/${window!.windowIndex}`, `${armName(arm)}/${decisionName(decision)}`)
    }
    const inTopic: Record<string, number> = {}
    for (const kind of forTraining.values()) inTopic[kind] = (inTopic[kind] ?? 0) + 1
    const state = await store.readState('default', 'trainer.safetensors')
    const facts = JSON.parse(decodeSafetensors(state!, 'the trainer state').metadata['facts']!) as TrainerFacts
    return { captured, decisions, forTraining: new Set(forTraining.keys()), inTopic, inTrainer: facts.windows }
  } finally {
    await log.close()
  }
}

function armName(arm: Arm): string {
  return arm === Arm.ARM_EVALUATION ? 'evaluation' : arm === Arm.ARM_CONTROL ? 'control' : 'selected'
}

const decisionName = (decision: Decision): string => (decision === Decision.DECISION_KEEP ? 'keep' : 'drop')
