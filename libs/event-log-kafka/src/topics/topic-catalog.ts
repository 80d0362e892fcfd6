import { PlateauError, type TopicSpec } from '@plateau/contracts'
import type { Attempt } from '../kafka-errors.js'
import type { KafkaCluster } from '../kafkajs/kafka-cluster.js'
import { readConfigs } from './topic-configs.js'
import { type FoundTopic, RECORD_ROOM_BYTES } from './topic-settings.js'

const MAX_MESSAGE_BYTES = 'max.message.bytes'
/** What a broker takes when nobody said otherwise. */
const KAFKAS_OWN_MAX_MESSAGE_BYTES = 1_048_588

/** What appending and reading need to know of a topic. */
export interface TopicFacts {
  readonly name: string
  readonly partitions: number
  /** One record's key and value together. */
  readonly maxRecordBytes: number
  /** One batch as it is sent: the topic's max.message.bytes. */
  readonly maxBatchBytes: number
}

/** Which topics the cluster has. Asks once per topic and remembers what is there; what is missing may be there next time. */
export class TopicCatalog {
  readonly #cluster: KafkaCluster
  readonly #persist: <T>(attempt: Attempt, action: () => Promise<T>) => Promise<T>
  readonly #declared = new Map<string, TopicSpec>()
  readonly #known = new Map<string, TopicFacts>()
  readonly #asked = new Map<string, Promise<TopicFacts>>()

  constructor(cluster: KafkaCluster, persist: <T>(attempt: Attempt, action: () => Promise<T>) => Promise<T>) {
    this.#cluster = cluster
    this.#persist = persist
  }

  /** What the declaration says of record sizes holds from now on, rather than what the topic would take. */
  declare(spec: TopicSpec): void {
    this.#declared.set(spec.name, spec)
  }

  /** A declared topic that was found to be usable. */
  learn({ name, maxRecordBytes }: TopicSpec, { partitions, config }: FoundTopic): void {
    const maxBatchBytes = Number(config.get(MAX_MESSAGE_BYTES)?.value)
    this.#known.set(name, { name, partitions, maxRecordBytes, maxBatchBytes })
  }

  /** What is known without asking. */
  known(topic: string): TopicFacts | undefined {
    return this.#known.get(topic)
  }

  forget(topic: string): void {
    this.#known.delete(topic)
  }

  /** Throws UNKNOWN_TOPIC. Several callers at once share the answer, and get it in the order of their calls. */
  get(topic: string): Promise<TopicFacts> {
    const asked = this.#asked.get(topic)
    if (asked !== undefined) return asked
    const known = this.#known.get(topic)
    if (known !== undefined) return Promise.resolve(known)
    const asking = this.#ask(topic).finally(() => this.#asked.delete(topic))
    this.#asked.set(topic, asking)
    return asking
  }

  async #ask(name: string): Promise<TopicFacts> {
    const partitions = await this.#partitionsOf(name)
    const maxBatchBytes = await this.#maxMessageBytes(name)
    const maxRecordBytes = this.#declared.get(name)?.maxRecordBytes ?? Math.max(1, maxBatchBytes - RECORD_ROOM_BYTES)
    const facts: TopicFacts = { name, partitions, maxRecordBytes, maxBatchBytes }
    this.#known.set(name, facts)
    return facts
  }

  #partitionsOf(topic: string): Promise<number> {
    return this.#persist(
      { doing: 'ask for', topic, needs: 'Describe' },
      async () => (await this.#cluster.leaders(topic)).length,
    )
  }

  /** Reading settings takes a right of its own, which a service that only appends does not need: it goes by the declaration. */
  async #maxMessageBytes(topic: string): Promise<number> {
    const config = await this.#persist({ doing: 'read the settings of', topic, needs: 'DescribeConfigs' }, () =>
      readConfigs(this.#cluster, topic),
    ).catch((thrown: unknown) => {
      if (thrown instanceof PlateauError && thrown.code === 'LOG_UNAUTHORIZED') return undefined
      throw thrown
    })
    const declared = this.#declared.get(topic)?.maxRecordBytes
    const assumed = declared === undefined ? KAFKAS_OWN_MAX_MESSAGE_BYTES : declared + RECORD_ROOM_BYTES
    return Number(config?.get(MAX_MESSAGE_BYTES)?.value ?? assumed)
  }
}
