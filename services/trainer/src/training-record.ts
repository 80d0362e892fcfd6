import { Arm, decodeHeaders, Decision, messageOf, PlateauError, topics, TrainingWindow } from '@plateau/contracts'
import type { LogRecord } from '@plateau/event-log'
import { hashToUnit } from '@plateau/flatness'
import { windowRows, type DraftRows, type WindowExpectations } from '@plateau/inference'
import type { DraftTargetModel } from '@plateau/model-files'
import { isLearnedFrom, type Traffic } from './traffic.js'
import { gradientWeightsOf, rowSignals, type RowSignals } from './row-signals.js'

/** Where a record lies in the topic; the windows that are held back are found again by it. */
export interface RecordPlace {
  readonly partition: number
  readonly offset: number
}

/**
 * What a window is for. Held out: never trained on. Calibration: a slice of the rest that stays out of the closed form
 * too, because the logit scale must be fitted on positions the solution has not seen.
 */
export type Purpose = 'held-out' | 'calibration' | 'training'

export interface AcceptedRecord extends RowSignals {
  readonly place: RecordPlace
  /** ce_id: the same on every redelivery. */
  readonly id: string
  readonly arm: 'selected' | 'control' | 'evaluation'
  readonly keep: boolean
  readonly purpose: Purpose
  /** Whose request it was; empty for the default tenant. */
  readonly tenant: string
  /** The caller's label for the kind of traffic; may be empty. */
  readonly domain: string
  readonly rows: DraftRows
  /** [n]: what each row counts in gradient steps by the policy that kept the window, 0 = context only; undefined: 1 each. */
  readonly gradientWeights: Float32Array | undefined
  /** Rules under trial that would have kept the window, by name; none of the evaluation arm. */
  readonly keptBy: readonly string[]
  readonly capturedAtMs: number
  /** By whose rule `keep` is, for example "flatness(keep=0.5)"; of the control arm at random, at the same rate. */
  readonly policy: string
  /** Of the trace that captured and scored the window. */
  readonly traceparent: string | undefined
}

const SCHEMA_VERSION = 1

export const CALIBRATION_SHARE = 1 / 16

/** Of a window that was captured from this target. */
export function expectationsOf({ fingerprint, tokenizerHash, config, target }: DraftTargetModel): WindowExpectations {
  return { targetFingerprint: fingerprint, tokenizerHash, vocabSize: config.vocabSize, norm: target.norm }
}

/** Throws a PlateauError, whose code is the reason on the dead letter, when the record cannot be used. */
export function acceptRecord(record: LogRecord, expected: WindowExpectations): AcceptedRecord {
  return accept(record, read(record), expected)
}

/** The same; undefined where it is of traffic that the lineage does not learn from: nothing else of it is looked at. */
export function acceptOfTraffic(
  record: LogRecord,
  expected: WindowExpectations,
  traffic: Traffic,
): AcceptedRecord | undefined {
  const found = read(record)
  return isLearnedFrom(traffic, found.window) ? accept(record, found, expected) : undefined
}

function read(record: LogRecord) {
  const headers = decodeHeaders(record.headers)
  if (headers === undefined) throw new PlateauError('HEADERS_MISSING', 'a CloudEvents header is missing or malformed')
  if (headers.type !== topics.trainingWindows.messageType) {
    throw new PlateauError('MESSAGE_TYPE_UNEXPECTED', `the record holds a ${headers.type}`)
  }
  const message = decode(record.value)
  const { window } = message
  if (window === undefined) throw new PlateauError('FIELD_MISSING', 'window is missing')
  return { headers, message, window }
}

function accept(
  record: LogRecord,
  { headers, message, window }: ReturnType<typeof read>,
  expected: WindowExpectations,
): AcceptedRecord {
  const { arm, decision, weights, policy, gradientWeights, keptBy } = message
  const version = window.provenance?.schemaVersion ?? 0
  if (version !== SCHEMA_VERSION) {
    throw new PlateauError('SCHEMA_UNKNOWN', `schema version ${version}; this trainer knows ${SCHEMA_VERSION}`)
  }
  const armName = ARMS[arm]
  if (armName === undefined) throw new PlateauError('FIELD_INVALID', `arm is ${arm}`)
  if (decision !== Decision.DECISION_KEEP && decision !== Decision.DECISION_DROP) {
    throw new PlateauError('FIELD_INVALID', `decision is ${decision}`)
  }
  const rows = windowRows(window, expected, weights)
  return {
    place: { partition: record.partition, offset: record.offset },
    id: headers.id,
    arm: armName,
    keep: decision === Decision.DECISION_KEEP && armName !== 'evaluation',
    purpose: purposeOf(armName, window.sampleId),
    tenant: window.tenant,
    domain: window.domain,
    rows,
    ...rowSignals(window, rows.length),
    gradientWeights: gradientWeightsOf(window, rows.length, gradientWeights),
    keptBy: armName === 'evaluation' ? [] : keptBy,
    capturedAtMs: window.capturedAtMs,
    policy,
    traceparent: headers.traceparent,
  }
}

const ARMS: Readonly<Partial<Record<Arm, AcceptedRecord['arm']>>> = {
  [Arm.ARM_SELECTED]: 'selected',
  [Arm.ARM_CONTROL]: 'control',
  [Arm.ARM_EVALUATION]: 'evaluation',
}

/** By sample, so that one response never lies on both sides. */
function purposeOf(arm: AcceptedRecord['arm'], sampleId: string): Purpose {
  if (arm === 'evaluation') return 'held-out'
  return hashToUnit('calibration', sampleId) < CALIBRATION_SHARE ? 'calibration' : 'training'
}

function decode(value: Uint8Array | null): TrainingWindow {
  if (value === null) throw new PlateauError('VALUE_MISSING', 'the record has no value')
  try {
    return TrainingWindow.decode(value)
  } catch (cause) {
    throw new PlateauError('UNDECODABLE', `the value is not a TrainingWindow: ${messageOf(cause)}`, { cause })
  }
}
