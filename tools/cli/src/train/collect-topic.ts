import { PlateauError, topics, TrainingWindow } from '@plateau/contracts'
import { readUpToNow, type EventLog } from '@plateau/event-log'
import type { WindowStore } from './window-store.js'

export interface TopicOptions {
  readonly fingerprint: string
  /** Only windows with this label. */
  readonly domain: string | undefined
  readonly positions: number
  readonly signal: AbortSignal
  progress(positions: number): void
}

/** Copies what the training-windows topic holds, oldest first, until the store has enough. Returns what was left out. */
export async function collectTopic(log: EventLog, store: WindowStore, options: TopicOptions): Promise<number> {
  const reader = log.reader({ topic: topics.trainingWindows.name, from: 'earliest' })
  let foreign = 0
  for await (const { records } of readUpToNow(reader)) {
    for (const { value } of records) {
      const window = value === null ? undefined : decoded(value)
      if (options.domain !== undefined && window?.window?.domain !== options.domain) continue
      if (window?.window?.provenance?.targetFingerprint !== options.fingerprint) foreign++
      else await store.add(window)
    }
    options.progress(store.totalPositions)
    if (options.signal.aborted || store.totalPositions >= options.positions) break
  }
  await store.flush()
  if (store.totalPositions === 0 && !options.signal.aborted) throw nothingFound(foreign, options)
  return foreign
}

function decoded(value: Uint8Array): TrainingWindow | undefined {
  try {
    return TrainingWindow.decode(value)
  } catch {
    return undefined
  }
}

function nothingFound(foreign: number, { domain }: TopicOptions): PlateauError {
  const which = domain === undefined ? '' : ` of domain "${domain}"`
  return new PlateauError(
    'NO_TRAINING_WINDOWS',
    `${topics.trainingWindows.name} holds no windows${which} of this target (${foreign} of other targets or unreadable)`,
    { facts: { foreign } },
  )
}
