import { encodeHeaders, ScoredWindow, topics, TrainingWindow, type TopicSpec } from '@plateau/contracts'
import type { NewRecord } from '@plateau/event-log'
import type { AcceptedWindow } from './accept-window.js'
import { armOnWire, decisionOnWire, scoredId, trainingId, windowKey, type Decision } from './decision.js'
import type { MeasuredWindow } from './measure-window.js'

/** Who says it: the CloudEvents source of all our records. */
export const SOURCE = '/plateau/flatness-scorer'

/** When a record was made, and in which span: the trace that captured the window goes on through here. */
export interface Made {
  readonly nowMs: number
  readonly traceparent: string | undefined
}

/** The public record of a window's numbers and of the one decision about it. */
export function scoredRecord(
  accepted: AcceptedWindow,
  measured: MeasuredWindow,
  decision: Decision,
  made: Made,
): NewRecord {
  const { window, record } = accepted
  const { nowMs } = made
  const message: ScoredWindow = {
    provenance: window.provenance,
    sampleId: window.sampleId,
    windowIndex: window.windowIndex,
    startPosition: window.startPosition,
    last: window.last,
    tenant: window.tenant,
    domain: window.domain,
    capturedAtMs: window.capturedAtMs,
    scoredAtMs: nowMs,
    vocabSize: window.vocabSize,
    tokenIds: window.tokenIds,
    flatness: Array.from(measured.flatness),
    flatnessLow: Array.from(measured.flatnessLow),
    flatnessHigh: Array.from(measured.flatnessHigh),
    entropy: window.entropy,
    top1: Array.from(measured.top1),
    margin: Array.from(measured.margin),
    energy: Array.from(measured.energy),
    draftOverlap: window.draftOverlap,
    perplexity: measured.perplexity,
    score: decision.score,
    threshold: decision.threshold,
    arm: armOnWire(decision.arm),
    decision: decisionOnWire(decision),
    policy: decision.policy,
    sourcePartition: record.partition,
    sourceOffset: record.offset,
    draftGain: window.draftGain,
    draftEntropy: window.draftEntropy,
    tokenLogProb: window.tokenLogProb,
    gradientWeights: Array.from(decision.gradientWeights ?? []),
    keptBy: [...decision.keptBy],
  }
  const id = scoredId(windowKey(window))
  return outgoing(topics.scoredTokens, accepted, id, ScoredWindow.encode(message).finish(), made)
}

/** The window on its way to the trainer, with what may be done with it. */
export function trainingRecord(
  accepted: AcceptedWindow,
  decision: Decision,
  weights: Float32Array,
  made: Made,
): NewRecord {
  const rest = TrainingWindow.encode({
    window: undefined,
    arm: armOnWire(decision.arm),
    decision: decisionOnWire(decision),
    weights: Array.from(weights),
    score: decision.score,
    policy: decision.policy,
    gradientWeights: Array.from(decision.gradientWeights ?? []),
    keptBy: [...decision.keptBy],
  }).finish()
  const value = Buffer.concat([windowField(accepted.encoded), accepted.encoded, rest])
  return outgoing(topics.trainingWindows, accepted, trainingId(windowKey(accepted.window)), value, made)
}

/**
 * Tag and length of TrainingWindow.window. The window's bytes follow as they came: a message field is the message's own
 * encoding, so nothing of it (features above all) has to be encoded again, and fields that this build does not know
 * reach the trainer.
 */
function windowField(encoded: Uint8Array): Uint8Array {
  const TAG_WINDOW = (1 << 3) | 2
  const bytes = [TAG_WINDOW]
  let length = encoded.length
  for (; length > 127; length >>>= 7) bytes.push((length & 127) | 128)
  return Uint8Array.from([...bytes, length])
}

function outgoing(topic: TopicSpec, from: AcceptedWindow, id: string, value: Uint8Array, made: Made): NewRecord {
  const { nowMs, traceparent } = made
  return {
    key: from.record.key,
    value,
    headers: encodeHeaders({
      id,
      source: SOURCE,
      type: topic.messageType,
      timeMs: nowMs,
      subject: from.record.key,
      traceparent,
    }),
    timestampMs: nowMs,
  }
}
