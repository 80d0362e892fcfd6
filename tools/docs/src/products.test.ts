import {
  Acceptance,
  allTopics,
  Decision,
  decodeHeaders,
  DraftCheckpoint,
  Rollout,
  ScoredWindow,
} from '@plateau/contracts'
import { Arm, RolloutState, type TopicSpec } from '@plateau/contracts'
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
    reason: rollout({ state: RolloutState.ROLLOUT_STATE_REJECTED, reason: '' }),
  },
  acceptance: {
    key: acceptance({ draftVersion: '999' }),
    interval: acceptance({ fromMs: 2, toMs: 1 }),
    counts: acceptance({ numAcceptedTokens: 1_000_000 }),
    alpha: acceptance({ alphaSum: 2, alphaPositions: 1 }),
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
