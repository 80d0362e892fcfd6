import kafkajs, { type Kafka, type KafkaConfig } from 'kafkajs'
import { kafkaConfig } from './kafka-config.js'
import { type Attempt, asLogError } from './kafka-errors.js'
import type { KafkaSettings } from './options.js'
import type { TopicCatalog } from './topics/topic-catalog.js'

/** What every part of an open log shares. */
export interface KafkaConnection {
  readonly settings: KafkaSettings
  /** What kafkajs's clients, and clusters made by hand, are configured with. */
  readonly config: KafkaConfig
  readonly kafka: Kafka
  /** Which topics there are; throws UNKNOWN_TOPIC. */
  readonly topics: TopicCatalog
  /** Turns what kafkajs threw into an error of ours that says what was attempted, and as whom. */
  error(thrown: unknown, attempt: Omit<Attempt, 'principal'>): unknown
}

export function connectionOf(settings: KafkaSettings, topicsOf: (kafka: Kafka) => TopicCatalog): KafkaConnection {
  const config = kafkaConfig(settings)
  const kafka = new kafkajs.Kafka(config)
  const principal = settings.sasl?.mechanism === 'scram-sha-512' ? settings.sasl.username : settings.sasl?.principal
  return {
    settings,
    config,
    kafka,
    topics: topicsOf(kafka),
    error: (thrown, attempt) => asLogError(thrown, { ...attempt, principal }),
  }
}
