/** What appending and reading need to know of a topic. */
export interface TopicFacts {
  readonly name: string
  readonly partitions: number
  /** One record's key and value together. */
  readonly maxRecordBytes: number
  /** One batch as it is sent. */
  readonly maxBatchBytes: number
}

export interface TopicCatalog {
  /** Asks the cluster once per topic and remembers. Throws UNKNOWN_TOPIC. */
  get(topic: string): Promise<TopicFacts>
}
