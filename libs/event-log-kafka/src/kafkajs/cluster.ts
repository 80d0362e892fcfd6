import type { Kafka, KafkaConfig } from 'kafkajs'
import Cluster, { type Broker, type ClusterOptions } from 'kafkajs/src/cluster/index.js'
import socketFactory from 'kafkajs/src/network/socketFactory.js'

export type { Broker, Cluster }

/** A leader that moved is noticed by the error it answers with; this is for brokers that come and go unnoticed. */
const METADATA_MAX_AGE_MS = 60_000

/** kafkajs's connections and metadata, without its producer, consumer or admin client on top. Not connected yet. */
export function makeCluster(
  kafka: Kafka,
  { logCreator: _logCreator, logLevel: _logLevel, ...config }: KafkaConfig,
  options: Partial<Pick<ClusterOptions, 'maxInFlightRequests' | 'isolationLevel' | 'metadataMaxAge' | 'retry'>> = {},
): Cluster {
  return new Cluster({
    enforceRequestTimeout: true,
    ...config,
    logger: kafka.logger(),
    socketFactory: config.socketFactory ?? socketFactory(),
    metadataMaxAge: METADATA_MAX_AGE_MS,
    allowAutoTopicCreation: false,
    ...options,
  })
}

/** kafkajs's own search for a coordinator hides why a broker refused. */
export async function groupCoordinator(cluster: Cluster, group: string): Promise<Broker> {
  const { coordinator } = await (await anyBroker(cluster)).findGroupCoordinator({ groupId: group, coordinatorType: 0 })
  return cluster.findBroker({ nodeId: coordinator.nodeId })
}

export async function anyBroker(cluster: Cluster): Promise<Broker> {
  await cluster.refreshMetadataIfNecessary()
  return cluster.findControllerBroker()
}
