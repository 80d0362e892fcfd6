import {
  Acceptance,
  allTopics,
  Decision,
  decodeHeaders,
  DraftCheckpoint,
  Drift,
  Rollout,
  RolloutEvidence,
  ScoredWindow,
} from '@plateau/contracts'
import { Arm, DriftKind, RolloutState, type TopicSpec } from '@plateau/contracts'
import { expect, test } from 'vitest'
import { sampleOf } from './documents.js'
import { products, type Product } from './products.js'
import { repository, schema } from './testing.js'

const recorded = products.map((product) => {
  const sample = sampleOf(repository, product.slug)
  return { product, sample, value: Buffer.from(sample.value, 'base64') }
})

test('the registry knows every message by its file and its place in the published image', () => {
  const placeOf = (topic: TopicSpec) => {
    const message = schema.message(topic.messageType)
    return { file: `${message.file.name}.proto`, messageIndex: message.file.messages.indexOf(message) }
  }
  expect(allTopics.map(placeOf)).toEqual(allTopics.map((topic) => topic.schema))
})

test('every public topic is a product', () => {
  const named = allTopics.map((topic) => topic.name).filter((name) => name.startsWith('public.'))
  expect(products.map(({ topic }) => topic.name)).toEqual(named)
})

test('a recorded sample is a record of its topic: headers, key, and the same message for both decoders', () => {
  for (const { product, sample, value } of recorded) {
    const { topic } = product
    expect(decodeHeaders(sample.headers)).toMatchObject({ type: topic.messageType, subject: sample.key })
    const message = topic.codec.decode(value)
    expect(Buffer.from(topic.codec.encode(message).finish())).toEqual(value)
    const json = schema.json(schema.message(topic.messageType), value)
    expect(json[product.keyField]).toBe(sample.key)
    expect(json['unknown']).toBeUndefined()
  }
})

test('every rule of the data contracts holds for the recorded sample', () => {
  for (const { product, sample, value } of recorded) {
    expect(brokenBy(product, sample.key, value)).toEqual([])
  }
})

/** One change of the recorded sample for each rule that must notice it. */
const scored = (change: Partial<ScoredWindow>) => encoded('scored-tokens', ScoredWindow, change)
const checkpoint = (change: Partial<DraftCheckpoint>) => encoded('draft-checkpoints', DraftCheckpoint, change)
const rollout = (change: Partial<Rollout>) => encoded('rollouts', Rollout, change)
const acceptance = (change: Partial<Acceptance>) => encoded('acceptance', Acceptance, change)

const drift = (change: Partial<Drift>) => encoded('drift', Drift, change)
const slice = { label: 'domain', name: 'code', positions: 200, value: 0.4, otherValue: 0.5 }
const compared: RolloutEvidence = {
  comparison: 'live-pairs',
  positions: 200,
  value: 0.4,
  otherValue: 0.5,
  difference: -0.1,
  low: -0.2,
  high: 0.1,
  errorRate: 0.01,
  margin: 0.03,
  acceptanceLength: 1.6,
  otherAcceptanceLength: 1.9,
  requests: 3,
  slices: [slice],
}

const breaches: Record<string, Record<string, Uint8Array>> = {
  'scored-tokens': {
    key: scored({ sampleId: 'another' }),
    lengths: scored({ entropy: [1] }),
    vocabulary: scored({ vocabSize: 10 }),
    flatness: scored({ flatnessHigh: scoredSample().flatness.map((x) => x / 2) }),
    probabilities: scored({ top1: scoredSample().top1.map((x) => x + 1) }),
    decided: scored({ arm: Arm.ARM_EVALUATION, decision: Decision.DECISION_KEEP }),
    'gradient weights': scored({ gradientWeights: scoredSample().tokenIds.map(() => 0) }),
    provenance: scored({ provenance: undefined }),
  },
  'draft-checkpoints': {
    key: checkpoint({ lineage: 'another' }),
    version: checkpoint({ version: 3, parentVersion: 3 }),
    digests: checkpoint({ tokenizerHash: 'abc' }),
    path: checkpoint({ manifestPath: 'default/../../etc/manifest.json' }),
    evaluation: checkpoint({ evaluation: { positions: 1, alpha: 1.5, parentAlpha: 0, greedyMatch: 0 } }),
  },
  rollouts: {
    key: rollout({ lineage: 'another' }),
    state: rollout({ state: RolloutState.ROLLOUT_STATE_UNSPECIFIED }),
    reason: rollout({ state: RolloutState.ROLLOUT_STATE_ROLLED_BACK, reason: '' }),
    'other version': rollout({ version: 3, otherVersion: 3 }),
    evidence: rollout({ evidence: { ...compared, low: 0.2, high: 0.1 } }),
    slices: rollout({ evidence: { ...compared, slices: [{ ...slice, label: 'country' }] } }),
  },
  acceptance: {
    key: acceptance({ draftVersion: '999' }),
    interval: acceptance({ fromMs: 2, toMs: 1 }),
    counts: acceptance({ numAcceptedTokens: 1_000_000 }),
    alpha: acceptance({ alphaSum: 2, alphaPositions: 1 }),
  },
  drift: {
    key: drift({ lineage: 'another' }),
    said: drift({ reason: '' }),
    flatness: drift({ kind: DriftKind.DRIFT_KIND_FLATNESS_SETTLED, reference: 0, value: 0.2, threshold: 0.1 }),
    acceptance: drift({ kind: DriftKind.DRIFT_KIND_ACCEPTANCE_FELL, value: 1.2 }),
    response: drift({ kind: DriftKind.DRIFT_KIND_ACCEPTANCE_VERY_LOW, value: 0, sampleId: '' }),
  },
}

test('every rule notices the record that breaks it', () => {
  for (const { product, sample } of recorded) {
    const values = Object.entries(breaches[product.slug]!)
    expect(values.map(([rule]) => rule)).toEqual(product.rules.map(({ name }) => name))
    for (const [rule, value] of values) expect(brokenBy(product, sample.key, value)).toContain(rule)
  }
})

function brokenBy(product: Product, key: string, value: Uint8Array): string[] {
  return product.rules.filter((rule) => !rule.holds(key, value)).map(({ name }) => name)
}

function scoredSample(): ScoredWindow {
  return ScoredWindow.decode(Buffer.from(sampleOf(repository, 'scored-tokens').value, 'base64'))
}

interface Encodable<T> {
  decode(bytes: Uint8Array): T
  encode(message: T): { finish(): Uint8Array }
}

function encoded<T>(slug: string, codec: Encodable<T>, change: Partial<T>): Uint8Array {
  const sample = codec.decode(Buffer.from(sampleOf(repository, slug).value, 'base64'))
  return codec.encode({ ...sample, ...change }).finish()
}

test('a roll-out with evidence, and one without, keep every rule', () => {
  const product = products.find(({ slug }) => slug === 'rollouts')!
  const { key } = sampleOf(repository, 'rollouts')
  for (const evidence of [compared, undefined]) {
    for (const state of [RolloutState.ROLLOUT_STATE_SHADOW, RolloutState.ROLLOUT_STATE_CONFIRMED]) {
      expect(brokenBy(product, key, rollout({ state, version: 9, otherVersion: 7, evidence }))).toEqual([])
    }
  }
})

test('every kind of drift keeps every rule', () => {
  const product = products.find(({ slug }) => slug === 'drift')!
  const { key } = sampleOf(repository, 'drift')
  const said: readonly Partial<Drift>[] = [
    { kind: DriftKind.DRIFT_KIND_FLATNESS_SHIFTED, value: 0.3, reference: 0, threshold: 0.25 },
    { kind: DriftKind.DRIFT_KIND_FLATNESS_SETTLED, value: 0.08, reference: 0, threshold: 0.1 },
    { kind: DriftKind.DRIFT_KIND_ACCEPTANCE_FELL, value: 0.3, reference: 0.5, threshold: 0.1 },
    { kind: DriftKind.DRIFT_KIND_ACCEPTANCE_RECOVERED, value: 0.48, reference: 0.5, threshold: 0.05 },
    { kind: DriftKind.DRIFT_KIND_ACCEPTANCE_VERY_LOW, value: 0, reference: 0.02, threshold: 0.02, sampleId: 's1' },
    { kind: DriftKind.DRIFT_KIND_ACCEPTANCE_VERY_HIGH, value: 1, reference: 0.98, threshold: 0.98, sampleId: 's1' },
  ]
  for (const change of said) expect(brokenBy(product, key, drift(change))).toEqual([])
})
