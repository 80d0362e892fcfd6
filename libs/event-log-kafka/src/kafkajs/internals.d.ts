// What this adapter uses of kafkajs 2.2.4 besides its public interface, as it is there. The version is pinned.

declare module 'kafkajs/src/network/socketFactory.js' {
  export default function socketFactory(): import('kafkajs').ISocketFactory
}

declare module 'kafkajs/src/cluster/index.js' {
  export interface ClusterOptions extends Omit<import('kafkajs').KafkaConfig, 'logCreator' | 'logLevel'> {
    readonly logger: import('kafkajs').Logger
    readonly socketFactory: import('kafkajs').ISocketFactory
    readonly metadataMaxAge: number
    readonly allowAutoTopicCreation: boolean
    readonly maxInFlightRequests?: number
    readonly isolationLevel?: 0 | 1
  }

  export interface ProtocolCall<T> {
    readonly request: {
      readonly apiKey: number
      readonly apiVersion: number
      readonly apiName: string
      expectResponse?(): boolean
      encode(): Promise<{ readonly buf: Buffer; readonly buffer: Buffer }>
    }
    readonly response: { decode(bytes: Buffer): Promise<unknown>; parse(decoded: never): Promise<T> }
    readonly requestTimeout?: number
  }

  export interface Broker {
    readonly nodeId: string | number
    readonly connectionPool: {
      readonly host: string
      readonly port: number
      send<T>(call: ProtocolCall<T>): Promise<T>
    }
    isConnected(): boolean
    connect(): Promise<void>
    disconnect(): Promise<void>
    metadata(topics: readonly string[]): Promise<{
      readonly topicMetadata: readonly {
        readonly topic: string
        readonly partitionMetadata: readonly PartitionMetadata[]
      }[]
    }>
    initProducerId(options: { readonly transactionalId?: string; readonly transactionTimeout: number }): Promise<{
      readonly producerId: string
      readonly producerEpoch: number
    }>
    findGroupCoordinator(options: { readonly groupId: string; readonly coordinatorType: 0 | 1 }): Promise<{
      readonly coordinator: { readonly nodeId: number }
    }>
    offsetCommit(options: {
      readonly groupId: string
      readonly groupGenerationId: number
      readonly memberId: string
      readonly topics: readonly {
        readonly topic: string
        readonly partitions: readonly { readonly partition: number; readonly offset: string }[]
      }[]
    }): Promise<unknown>
    offsetFetch(options: {
      readonly groupId: string
      readonly topics: readonly {
        readonly topic: string
        readonly partitions: readonly { readonly partition: number }[]
      }[]
    }): Promise<{
      readonly responses: readonly {
        readonly topic: string
        readonly partitions: readonly { readonly partition: number; readonly offset: string }[]
      }[]
    }>
  }

  export interface PartitionMetadata {
    readonly partitionId: number
    readonly leader: number
    readonly replicas: readonly number[]
    readonly isr: readonly number[]
  }

  export default class Cluster {
    constructor(options: ClusterOptions)
    readonly targetTopics: Set<string>
    isConnected(): boolean
    connect(): Promise<void>
    disconnect(): Promise<void>
    addTargetTopic(topic: string): Promise<void>
    refreshMetadata(): Promise<void>
    refreshMetadataIfNecessary(): Promise<void>
    findBroker(options: { readonly nodeId: string | number }): Promise<Broker>
    findControllerBroker(): Promise<Broker>
    findTopicPartitionMetadata(topic: string): readonly PartitionMetadata[]
    getNodeIds(): string[]
    fetchTopicsOffset(
      topics: readonly {
        readonly topic: string
        readonly fromBeginning: boolean
        readonly partitions: readonly { readonly partition: number }[]
      }[],
    ): Promise<
      { readonly topic: string; readonly partitions: { readonly partition: number; readonly offset: string }[] }[]
    >
  }
}

declare module 'kafkajs/src/protocol/requests/produce/v7/response.js' {
  export interface ProduceResponse {
    readonly topics: readonly {
      readonly topicName: string
      readonly partitions: readonly { readonly partition: number; readonly baseOffset: string }[]
    }[]
  }
  const response: {
    decode(bytes: Buffer): Promise<unknown>
    /** Throws the first partition's error. */
    parse(decoded: never): Promise<ProduceResponse>
  }
  export default response
}
