import { Arm, Decision, PlateauError, ScoredWindow, unframe } from '@plateau/contracts'
import type { LogRecord } from '@plateau/event-log'

/** A record of scored-tokens that can be written down: whole, of a schema that this build knows, of equal lengths. */
export interface ExportedWindow {
  readonly window: ScoredWindow
  readonly partition: number
  readonly offset: number
  readonly ceId: string
  readonly timestampMs: number
}

const SCHEMA_VERSION = 1

/** The numbers that a window has one of for each token. An empty list says that it was not measured. */
const PER_TOKEN = [
  'flatness',
  'flatnessLow',
  'flatnessHigh',
  'entropy',
  'top1',
  'margin',
  'energy',
  'draftOverlap',
  'draftGain',
  'draftEntropy',
  'tokenLogProb',
  'gradientWeights',
] as const satisfies readonly (keyof ScoredWindow)[]

/** Throws a PlateauError that says why the record cannot be written down. */
export function exportedWindow(record: LogRecord): ExportedWindow {
  const { value, headers, partition, offset, timestampMs } = record
  const ceId = headers['ce_id']
  if (!ceId) refuse('HEADERS_MISSING', 'it has no ce_id')
  if (value === null) refuse('VALUE_MISSING', 'it has no value')
  const window = decode(value)
  const version = window.provenance?.schemaVersion
  if (version !== SCHEMA_VERSION)
    refuse('SCHEMA_UNKNOWN', `its schema version is ${version}, known is ${SCHEMA_VERSION}`)
  const tokens = window.tokenIds.length
  for (const field of PER_TOKEN) {
    const { length } = window[field]
    if (length !== 0 && length !== tokens)
      refuse('LENGTH_MISMATCH', `${field} has ${length} entries for ${tokens} tokens`)
  }
  return { window, partition, offset, ceId, timestampMs }
}

export function armName(arm: Arm): string | null {
  if (arm === Arm.ARM_SELECTED) return 'selected'
  if (arm === Arm.ARM_CONTROL) return 'control'
  return arm === Arm.ARM_EVALUATION ? 'evaluation' : null
}

export function decisionName(decision: Decision): string | null {
  if (decision === Decision.DECISION_KEEP) return 'keep'
  return decision === Decision.DECISION_DROP ? 'drop' : null
}

/** What token i counts in gradient training. The evaluation arm is what drafts are judged on: nothing, ever. */
export function gradientWeightOf({ decision, arm, gradientWeights }: ScoredWindow, i: number): number {
  if (decision !== Decision.DECISION_KEEP || arm === Arm.ARM_EVALUATION) return 0
  return gradientWeights.length > 0 ? gradientWeights[i]! : 1
}

function decode(value: Uint8Array): ScoredWindow {
  try {
    return ScoredWindow.decode(unframe(value).payload)
  } catch (cause) {
    throw new PlateauError('UNDECODABLE', 'its value is not a ScoredWindow', { cause })
  }
}

function refuse(code: string, sentence: string): never {
  throw new PlateauError(code, sentence)
}
