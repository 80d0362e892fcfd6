// Windows and a log for this service's tests.

import {
  allTopics,
  encodeHeaders,
  FloatFormat,
  packTopK,
  ScoredWindow,
  TokenWindow,
  topics,
  TrainingWindow,
  type TopicSpec,
} from '@plateau/contracts'
import type { EventLog, LogRecord, NewRecord } from '@plateau/event-log'
import { openEmbeddedEventLog } from '@plateau/event-log-embedded'
import { selectionPolicy, type SelectionPolicy, type SelectionPolicyParts } from '@plateau/flatness'
import { MetricRegistry, silentLogger } from '@plateau/telemetry'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { declareScorerMetrics } from './metrics.js'
import { readFrom } from './read-tail.js'
import { Scorer, SCORER_GROUP, scorerDeadLetters, type ScorerOptions } from './scorer.js'

export const VOCAB = 64
export const K = 4

/** Three positions whose most probable token has the given probability. */
export function windowOf(sampleId: string, options: { readonly top1?: number; readonly windowIndex?: number } = {}) {
  const { top1 = 0.5, windowIndex = 0 } = options
  const n = 3
  const rest = (1 - top1) / 8
  const row = [top1, rest * 4, rest * 2, rest]
  const squares = row.reduce((sum, p) => sum + p * p, 0) + rest ** 2 / (VOCAB - K)
  const fill = (x: number): number[] => Array.from({ length: n }, () => Math.fround(x))
  return TokenWindow.fromPartial({
    provenance: { schemaVersion: 1, targetFingerprint: 'target', tokenizerHash: 'tokenizer' },
    sampleId,
    windowIndex,
    startPosition: windowIndex * n,
    last: true,
    tenant: 'tenant',
    domain: 'domain',
    capturedAtMs: 1_000,
    vocabSize: VOCAB,
    tokenIds: [1, 2, 63],
    top: packTopK([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 63], [...row, ...row, ...row], K, FloatFormat.FLOAT_FORMAT_FP16),
    tailMass: fill(rest),
    sumSquares: fill(squares),
    entropy: fill(1.5),
    logSumExp: fill(12),
    tokenLogProb: fill(Math.log(top1)),
    features: Buffer.alloc(n * 2 * 8, 7),
    featureSize: 8,
    featureFormat: FloatFormat.FLOAT_FORMAT_FP16,
    hasLead: true,
    leadTokenId: 5,
    leadFeature: Buffer.alloc(16, 9),
  })
}

export function recordOf(window: TokenWindow): NewRecord {
  return {
    key: window.sampleId,
    value: TokenWindow.encode(window).finish(),
    headers: encodeHeaders({
      id: `window:${window.sampleId}:${window.windowIndex}`,
      source: '/plateau/target-model',
      type: topics.tokenDistributions.messageType,
      timeMs: 1_000,
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    }),
  }
}

/** The record as the log would hand it over. */
export function delivered(record: NewRecord, partition = 0, offset = 0): LogRecord {
  return { ...record, topic: topics.tokenDistributions.name, partition, offset, timestampMs: 1_000 }
}

/** `n` windows of as many samples, of mixed flatness. */
export function traffic(n: number, prefix = 's'): TokenWindow[] {
  return Array.from({ length: n }, (_, i) => windowOf(`${prefix}${i}`, { top1: 0.4 + 0.5 * ((i * 0.618) % 1) }))
}

export class TestLog {
  readonly directory = mkdtempSync(join(tmpdir(), 'plateau-scorer-'))
  readonly log: EventLog = openEmbeddedEventLog(this.directory)

  /** `specs` stand in for the topics of the same name. */
  async prepare(...specs: TopicSpec[]): Promise<this> {
    await this.log.ensureTopics(specs)
    const taken = new Set(specs.map((spec) => spec.name))
    await this.log.ensureTopics([...allTopics, scorerDeadLetters].filter((spec) => !taken.has(spec.name)))
    return this
  }

  async publish(records: readonly NewRecord[], topic: string = topics.tokenDistributions.name): Promise<void> {
    const producer = this.log.producer()
    await producer.send(topic, records)
    await producer.close()
  }

  async records(topic: string): Promise<LogRecord[]> {
    return readFrom(this.log, topic, await this.log.offsets(topic), () => 0)
  }

  async scored(): Promise<ScoredWindow[]> {
    return (await this.records(topics.scoredTokens.name)).map((record) => ScoredWindow.decode(record.value!))
  }

  async training(): Promise<TrainingWindow[]> {
    return (await this.records(topics.trainingWindows.name)).map((record) => TrainingWindow.decode(record.value!))
  }

  deadLetters(): Promise<LogRecord[]> {
    return this.records(scorerDeadLetters.name)
  }

  /** Records that the group has not committed. */
  async lag(): Promise<number> {
    const topic = topics.tokenDistributions.name
    const committed = await this.log.committed(SCORER_GROUP, topic)
    const ranges = await this.log.offsets(topic)
    return ranges.reduce((sum, { partition, next }) => sum + next - Math.max(0, committed[partition]!.offset), 0)
  }

  async close(): Promise<void> {
    await this.log.close()
    rmSync(this.directory, { recursive: true })
  }
}

/** The flattest half of the windows and weights of 1/flatness, but for what is given. */
export function policyWith(parts: Partial<SelectionPolicyParts>): SelectionPolicy {
  return selectionPolicy({ strategy: 'flatness', keep: 0.5, closedFormWeight: 'inverse-flatness', ...parts })
}

export const scorerOptions: ScorerOptions = {
  lineage: 'default',
  server: 'test',
  policy: policyWith({}),
  shares: { evaluation: 0.1, control: 0.1 },
  recentWindows: 64,
  warmUpWindows: 8,
  batchWindows: 32,
}

export function scorerOn(log: EventLog, options: Partial<ScorerOptions> = {}) {
  const metrics = declareScorerMetrics(new MetricRegistry())
  const scorer = new Scorer({ ...scorerOptions, ...options }, { log, logger: silentLogger, metrics, clock: Date.now })
  return { scorer, metrics }
}

/** Runs a scorer until everything published is committed, then drains it. */
export async function scoreAll(test: TestLog, options: Partial<ScorerOptions> = {}) {
  const { scorer, metrics } = scorerOn(test.log, options)
  const run = scorer.run()
  await Promise.race([until(async () => (await test.lag()) === 0), run])
  await scorer.close(20_000)
  await run
  return metrics
}

export async function until(holds: () => Promise<boolean> | boolean): Promise<void> {
  const deadline = Date.now() + 20_000
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error('waited 20 s in vain')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
