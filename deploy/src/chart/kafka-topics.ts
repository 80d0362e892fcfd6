import { allTopics, deadLetterTopics, type TopicSpec } from '@plateau/contracts'
import { creationConfig, leasesTopic } from '@plateau/event-log-kafka'
import { stringify } from 'yaml'

/** Every topic that services use on Kafka. */
export const kafkaTopics: readonly TopicSpec[] = [...allTopics, ...deadLetterTopics, leasesTopic as TopicSpec]

/** The chart's list of topics (files/kafka-topics.yaml), from the registry and as the Kafka adapter would create them. */
export function kafkaTopicsFile(): string {
  const topics = kafkaTopics.map((topic) => ({
    name: topic.name,
    partitions: topic.partitions,
    replicas: topic.replication,
    config: creationConfig(topic, { replication: undefined, topicConfig: {} }),
  }))
  return `# Made from libs/contracts/src/topics.ts by \`npm run gen:chart\`; a test compares them.\n${stringify({ topics })}`
}
