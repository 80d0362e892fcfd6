import type { DescribeConfigResponse, ITopicConfig } from 'kafkajs'

/** The requests that this adapter speaks itself: what goes out and what comes back, as kafkajs encodes and decodes them. */
export interface Requests {
  readonly Metadata: { readonly args: { readonly topics: readonly string[] }; readonly answer: MetadataAnswer }
  readonly CreateTopics: {
    readonly args: {
      readonly topics: readonly ITopicConfig[]
      readonly timeout: number
      readonly validateOnly: boolean
    }
    readonly answer: unknown
  }
  readonly DescribeConfigs: {
    readonly args: { readonly resources: readonly ConfigResource[]; readonly includeSynonyms: boolean }
    readonly answer: DescribeConfigResponse
  }
  readonly AlterConfigs: {
    readonly args: {
      readonly resources: readonly (ConfigResource & {
        readonly configEntries: readonly { readonly name: string; readonly value: string }[]
      })[]
      readonly validateOnly: boolean
    }
    readonly answer: unknown
  }
  readonly GroupCoordinator: {
    /** 0: a group's; 1: a transactional id's. */
    readonly args: { readonly groupId: string; readonly coordinatorType: 0 | 1 }
    readonly answer: { readonly coordinator: Node }
  }
  readonly ListOffsets: {
    readonly args: OnTopics<{ readonly partition: number; readonly timestamp: number }> & Isolation
    readonly answer: OffsetsAnswer
  }
  readonly Fetch: { readonly args: FetchArgs; readonly answer: unknown }
  readonly JoinGroup: { readonly args: JoinArgs; readonly answer: JoinAnswer }
  readonly SyncGroup: {
    readonly args: Member & {
      readonly generationId: number
      readonly groupAssignment: readonly { readonly memberId: string; readonly memberAssignment: Buffer }[]
    }
    readonly answer: { readonly memberAssignment: Buffer }
  }
  readonly Heartbeat: { readonly args: Member & { readonly groupGenerationId: number }; readonly answer: unknown }
  readonly LeaveGroup: { readonly args: Member; readonly answer: unknown }
  readonly OffsetCommit: {
    readonly args: Member & { readonly groupGenerationId: number; readonly retentionTime?: number } & OnTopics<{
        readonly partition: number
        readonly offset: string
      }>
    readonly answer: unknown
  }
  readonly OffsetFetch: {
    readonly args: { readonly groupId: string } & OnTopics<{ readonly partition: number }>
    readonly answer: {
      readonly responses: readonly {
        readonly partitions: readonly { readonly partition: number; readonly offset: string }[]
      }[]
    }
  }
  readonly InitProducerId: {
    /** Undefined for a producer without transactions. */
    readonly args: { readonly transactionalId: string | undefined; readonly transactionTimeout: number }
    readonly answer: ProducerIdentity
  }
  readonly AddPartitionsToTxn: {
    readonly args: Transaction & {
      readonly topics: readonly { readonly topic: string; readonly partitions: readonly number[] }[]
    }
    readonly answer: unknown
  }
  readonly Produce: { readonly args: ProduceArgs; readonly answer: ProduceAnswer }
  readonly EndTxn: { readonly args: Transaction & { readonly transactionResult: boolean }; readonly answer: unknown }
}

export interface ConfigResource {
  readonly type: number
  readonly name: string
}

export interface Node {
  readonly nodeId: number
  readonly host: string
  readonly port: number
}

export interface MetadataAnswer {
  readonly brokers: readonly Node[]
  /** -1: none at present. */
  readonly controllerId: number
  readonly topicMetadata: readonly {
    readonly topic: string
    readonly topicErrorCode: number
    readonly partitionMetadata: readonly {
      readonly partitionErrorCode: number
      readonly partitionId: number
      /** -1: none at present. */
      readonly leader: number
      readonly replicas: readonly number[]
    }[]
  }[]
}

export interface OffsetsAnswer {
  readonly responses: readonly {
    readonly topic: string
    readonly partitions: readonly { readonly partition: number; readonly errorCode: number; readonly offset: string }[]
  }[]
}

export interface FetchArgs extends Isolation {
  readonly maxWaitTime: number
  readonly minBytes: number
  readonly maxBytes: number
  readonly topics: readonly {
    readonly topic: string
    readonly partitions: readonly {
      readonly partition: number
      readonly fetchOffset: string
      readonly maxBytes: number
    }[]
  }[]
}

export interface JoinArgs extends Member {
  readonly sessionTimeout: number
  readonly rebalanceTimeout: number
  readonly protocolType: 'consumer'
  readonly groupProtocols: readonly { readonly name: string; readonly metadata: Buffer }[]
}

export interface JoinAnswer {
  readonly generationId: number
  readonly leaderId: string
  readonly memberId: string
  /** Only the leader is told them. */
  readonly members: readonly { readonly memberId: string; readonly memberMetadata: Buffer }[]
}

export interface ProduceArgs {
  readonly acks: -1
  readonly timeout: number
  /** Null for a producer without transactions. */
  readonly transactionalId: string | null
  readonly producerId: string
  readonly producerEpoch: number
  readonly topicData: readonly {
    readonly topic: string
    readonly partitions: readonly {
      readonly partition: number
      readonly firstSequence: number
      readonly messages: readonly unknown[]
    }[]
  }[]
}

export interface ProduceAnswer {
  readonly topics: readonly {
    readonly topicName: string
    readonly partitions: readonly {
      readonly partition: number
      readonly errorCode: number
      readonly baseOffset: string
    }[]
  }[]
}

export interface ProducerIdentity {
  readonly producerId: string
  readonly producerEpoch: number
}

interface Transaction extends ProducerIdentity {
  readonly transactionalId: string
}

interface Member {
  readonly groupId: string
  readonly memberId: string
}

interface OnTopics<P> {
  readonly topics: readonly { readonly topic: string; readonly partitions: readonly P[] }[]
}

interface Isolation {
  readonly replicaId: -1
  /** 1: read_committed. */
  readonly isolationLevel: 1
}
