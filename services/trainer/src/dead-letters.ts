import { deadLetterTopic, groups, topics, type PlateauError } from '@plateau/contracts'
import { deadLetterRecord, untilAborted, type LogRecord, type Producer } from '@plateau/event-log'
import type { Logger } from '@plateau/telemetry'
import { setTimeout as sleep } from 'node:timers/promises'
import type { TrainerMetrics } from './metrics.js'
import { RETRY_MS, worksNow } from './retry-later.js'

export const TRAINER_GROUP = groups.trainer
export const trainerDeadLetters = deadLetterTopic(topics.trainingWindows, TRAINER_GROUP)

export interface Poison {
  readonly record: LogRecord
  readonly error: PlateauError
}

export interface BurialParts {
  readonly producer: Producer
  readonly logger: Logger
  readonly metrics: TrainerMetrics
  readonly clock: () => number
  /** Told at every attempt. */
  readonly beat?: () => void
}

/** Tries until the dead letters are written. Rejects with an AbortError when told to stop before that. */
export async function bury(poison: readonly Poison[], parts: BurialParts, signal: AbortSignal): Promise<void> {
  if (poison.length === 0) return
  const { producer, logger, metrics, clock, beat } = parts
  const letters = poison.map(({ record, error }) => deadLetterRecord(record, TRAINER_GROUP, error, clock()))
  const send = () => untilAborted(producer.send(trainerDeadLetters.name, letters), signal)
  while (!(await worksNow(logger, 'dead letters not written', send))) {
    beat?.()
    await sleep(RETRY_MS, undefined, { signal })
  }
  for (const { record, error } of poison) {
    metrics.deadLettered.add({ reason: error.code })
    const { topic, partition, offset } = record
    logger.warn('record dead-lettered', { topic, partition, offset, code: error.code, why: error.message })
  }
}
