import {
  Arm,
  Decision,
  encodeHeaders,
  FloatFormat,
  ScoredWindow,
  TokenWindow,
  topics,
  type TopicSpec,
} from '@plateau/contracts'
import type { NewRecord } from '@plateau/event-log'

const PROVENANCE = {
  schemaVersion: 1,
  targetFingerprint: 'f'.repeat(64),
  tokenizerHash: 'a'.repeat(64),
  draftVersion: '7',
}

export function tokenWindow(sampleId: string, tokenIds: readonly number[]): TokenWindow {
  const each = (value: number) => tokenIds.map(() => value)
  return TokenWindow.fromPartial({
    provenance: PROVENANCE,
    sampleId,
    capturedAtMs: 1_700_000_000_000,
    vocabSize: 50_000,
    tokenIds: [...tokenIds],
    tailMass: each(0.25),
    entropy: each(1.5),
    hasLead: true,
    leadTokenId: 31_337,
    features: Buffer.alloc(64),
    featureFormat: FloatFormat.FLOAT_FORMAT_FP16,
  })
}

export function scoredWindow(sampleId: string, changes: Partial<ScoredWindow> = {}): ScoredWindow {
  const tokenIds = changes.tokenIds ?? [11, 12, 13]
  const each = (value: number) => tokenIds.map((_, i) => Math.fround(value + i / 16))
  return ScoredWindow.fromPartial({
    provenance: PROVENANCE,
    sampleId,
    windowIndex: 2,
    startPosition: 128,
    tenant: 'acme',
    domain: 'code',
    capturedAtMs: 1_700_000_000_000,
    scoredAtMs: 1_700_000_001_000,
    vocabSize: 50_000,
    tokenIds,
    flatness: each(0.25),
    flatnessLow: each(0.125),
    flatnessHigh: each(0.5),
    entropy: each(1.5),
    top1: each(0.5),
    margin: each(0.0625),
    energy: each(-9),
    perplexity: 3.5,
    score: 0.25,
    threshold: 0.1875,
    arm: Arm.ARM_SELECTED,
    decision: Decision.DECISION_KEEP,
    policy: 'flatness(keep=0.5)',
    sourcePartition: 1,
    sourceOffset: 77,
    ...changes,
  })
}

export function tokenRecord(sampleId: string, window = tokenWindow(sampleId, [21, 22, 23])): NewRecord {
  return record(topics.tokenDistributions, sampleId, `window:${sampleId}`, TokenWindow.encode(window).finish())
}

export function scoredRecord(window: ScoredWindow, id = `scored:${window.sampleId}:${window.windowIndex}`): NewRecord {
  return record(topics.scoredTokens, window.sampleId, id, ScoredWindow.encode(window).finish())
}

function record(topic: TopicSpec, key: string, id: string, value: Uint8Array): NewRecord {
  const headers = encodeHeaders({ id, source: '/plateau/test', type: topic.messageType, timeMs: 1_700_000_000_000 })
  return { key, value, headers }
}
