import kafkajs from 'kafkajs'
import type { KafkaCluster } from '../kafkajs/kafka-cluster.js'

const { ConfigResourceTypes, ConfigSource } = kafkajs

export interface ConfigValue {
  readonly value: string
  /** Set on the topic itself, rather than a broker's or Kafka's default. */
  readonly isOverride: boolean
}

export type TopicConfig = ReadonlyMap<string, ConfigValue>

export async function readConfigs(cluster: KafkaCluster, topic: string): Promise<TopicConfig> {
  const resources = [{ type: ConfigResourceTypes.TOPIC, name: topic }]
  const answer = await cluster.askAny('DescribeConfigs', { resources, includeSynonyms: false })
  return new Map(
    answer.resources[0]?.configEntries.map(({ configName, configValue, configSource }) => [
      configName,
      { value: configValue, isOverride: configSource === ConfigSource.TOPIC_CONFIG },
    ]),
  )
}

/** Kafka resets whatever is not named here, so what was set on the topic before has to be named again. */
export async function changeConfigs(
  cluster: KafkaCluster,
  topic: string,
  changes: ReadonlyMap<string, string>,
): Promise<void> {
  const overrides = [...(await readConfigs(cluster, topic))]
    .filter(([, { isOverride }]) => isOverride)
    .map(([name, { value }]) => [name, value] as const)
  const configEntries = [...new Map([...overrides, ...changes])].map(([name, value]) => ({ name, value }))
  const resources = [{ type: ConfigResourceTypes.TOPIC, name: topic, configEntries }]
  await cluster.askAny('AlterConfigs', { resources, validateOnly: false })
}
