import { encodeHeaders, SelectionPolicy, topics, type BinWeights, type PolicyGain } from '@plateau/contracts'
import { readUpToNow, type EventLog, type Producer } from '@plateau/event-log'
import type { Logger } from '@plateau/telemetry'
import { keepAll } from '../kinds/trial-rules.js'
import type { TrainerMetrics } from '../metrics.js'
import { RETRY_MS, worksNow } from '../retry-later.js'
import type { ClosedFormPolicy, GradientPolicy, MeasuredGain, PolicySink } from './policy-parts.js'

export interface PolicyPublisherParts {
  readonly lineage: string
  readonly log: EventLog
  /** Of the lineage's lease: the topic has one writer a lineage. */
  readonly producer: Producer
  readonly logger: Logger
  readonly metrics: Pick<TrainerMetrics, 'policyGain' | 'policyGainError' | 'binWeight' | 'policiesPublished'>
  readonly clock: () => number
}

type Decision = Omit<SelectionPolicy, 'atMs' | 'evidence' | 'gains'>

const topic = topics.selectionPolicy
const SCHEMA_VERSION = 1
/** New figures behind the same decision are published this often. */
const HEARTBEAT_MS = 10 * 60_000
const CLOSED_FORM = 'closed-form'
const GRADIENTS = 'gradients'

/**
 * Makes one record of what the stages have learned and writes it to the selection-policy topic: at once when it decides
 * something else, and with new figures every ten minutes. It goes through the lineage's lease: a trainer that was replaced
 * cannot write it. Begins with the newest record of the topic, so that a restart changes nothing.
 */
export class PolicyPublisher implements PolicySink {
  readonly #parts: PolicyPublisherParts
  #published: SelectionPolicy | undefined
  #closedForm: ClosedFormPolicy | undefined
  #gradients: GradientPolicy | undefined
  #isNew = false
  #nextMs = Number.NEGATIVE_INFINITY

  private constructor(parts: PolicyPublisherParts, published: SelectionPolicy | undefined) {
    this.#parts = parts
    this.#published = published
    published?.gains.forEach(({ stage, ...gain }) => this.#show(stage, gain))
    if (published?.binWeights !== undefined) this.#showWeights(published.binWeights)
  }

  static async open(parts: PolicyPublisherParts): Promise<PolicyPublisher> {
    return new PolicyPublisher(parts, await newestOf(parts))
  }

  /** The newest record of the lineage. */
  get published(): SelectionPolicy | undefined {
    return this.#published
  }

  closedForm(policy: ClosedFormPolicy): void {
    this.#closedForm = policy
    this.#isNew = true
    this.#show(CLOSED_FORM, policy.gain)
    this.#showWeights(policy.binWeights)
  }

  gradients(policy: GradientPolicy): void {
    this.#gradients = policy
    this.#isNew = true
    if (policy.gain !== undefined) this.#show(GRADIENTS, policy.gain)
  }

  /** Writes what is worth writing now. A log that is full or away is asked again at a later call. */
  async publish(): Promise<void> {
    const { clock, logger, metrics } = this.#parts
    const nowMs = clock()
    if (!this.#isNew || nowMs < this.#nextMs) return
    const record = this.#record(nowMs)
    const isChanged = decisionOf(record) !== decisionOf(this.#published)
    if (!isChanged && nowMs - (this.#published?.atMs ?? 0) < HEARTBEAT_MS) return
    this.#nextMs = nowMs + RETRY_MS
    if (!(await worksNow(logger, 'selection policy not published', () => this.#send(record)))) return
    this.#published = record
    this.#isNew = false
    metrics.policiesPublished.add({ reason: isChanged ? 'changed' : 'heartbeat' })
    if (isChanged) logger.info('selection policy published', { strategy: record.strategy, evidence: record.evidence })
  }

  #record(atMs: number): SelectionPolicy {
    const said = [this.#closedForm?.evidence, this.#gradients?.evidence]
    return {
      ...this.#decision(),
      evidence: said.filter((sentence) => sentence !== undefined).join(' '),
      atMs,
      gains: [...this.#gainOf(CLOSED_FORM, this.#closedForm?.gain), ...this.#gainOf(GRADIENTS, this.#gradients?.gain)],
    }
  }

  /** Until gradients say otherwise everything is kept. */
  #decision(): Decision {
    const last = this.#published
    const { strategy, keep, unit, budget, stratified, sampling } = this.#gradients?.rule ?? last ?? keepAll
    const binWeights = this.#closedForm?.binWeights ?? last?.binWeights
    return {
      schemaVersion: SCHEMA_VERSION,
      lineage: this.#parts.lineage,
      strategy,
      keep,
      unit,
      budget,
      stratified,
      sampling,
      closedFormWeight: binWeights === undefined ? (last?.closedFormWeight ?? 'uniform') : 'binned',
      binWeights,
      trials: [...(this.#gradients?.trials ?? last?.trials ?? [])],
    }
  }

  /** As it was published where it was not measured since. */
  #gainOf(stage: string, measured: MeasuredGain | undefined): PolicyGain[] {
    if (measured !== undefined) return [{ stage, ...measured }]
    return this.#published?.gains.filter((gain) => gain.stage === stage) ?? []
  }

  async #send(record: SelectionPolicy): Promise<void> {
    const { lineage, atMs: timeMs } = record
    const id = `${lineage}/${timeMs}`
    const headers = encodeHeaders({
      id,
      source: '/plateau/trainer',
      type: topic.messageType,
      timeMs,
      subject: lineage,
    })
    await this.#parts.producer.send(topic.name, [
      { key: lineage, value: SelectionPolicy.encode(record).finish(), headers },
    ])
  }

  #showWeights({ weights }: BinWeights): void {
    weights.forEach((weight, bin) => this.#parts.metrics.binWeight.set({ bin: String(bin) }, weight))
  }

  #show(stage: string, { gain, standardError }: MeasuredGain): void {
    const { metrics } = this.#parts
    metrics.policyGain.set({ stage }, gain)
    metrics.policyGainError.set({ stage }, standardError)
  }
}

/** What the record decides, without when and why. */
function decisionOf(record: SelectionPolicy | undefined): string {
  if (record === undefined) return ''
  return JSON.stringify(SelectionPolicy.toJSON({ ...record, atMs: 0, evidence: '', gains: [] }))
}

async function newestOf({ log, lineage, logger }: PolicyPublisherParts): Promise<SelectionPolicy | undefined> {
  let newest: SelectionPolicy | undefined
  for await (const { records } of readUpToNow(log.reader({ topic: topic.name, from: 'earliest' }))) {
    for (const { key, value, offset } of records) {
      if (key !== lineage) continue
      const record = value === null ? undefined : decoded(value)
      if (value !== null && record === undefined) {
        logger.warn('not a selection policy', { topic: topic.name, key, offset })
      } else newest = record
    }
  }
  return newest
}

function decoded(value: Uint8Array): SelectionPolicy | undefined {
  try {
    const record = SelectionPolicy.decode(value)
    return record.schemaVersion === SCHEMA_VERSION ? record : undefined
  } catch {
    return undefined
  }
}
