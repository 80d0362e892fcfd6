import kafkajs from 'kafkajs'

/** kafkajs as its documentation shows it, for benchmarks and tests that put it beside the adapter. Nothing of ours uses it. */
export interface BareKafkajs {
  /** One `send` for records of any partitions, acknowledged by all replicas. */
  send(topic: string, records: readonly { readonly key: string; readonly value: Uint8Array }[]): Promise<void>
  /** Reads a topic from the beginning until `count` records have come; resolves with the seconds since the first. */
  consume(topic: string, count: number): Promise<number>
  close(): Promise<void>
}

export async function openBareKafkajs(
  bootstrapServers: readonly string[],
  options: { readonly idempotent: boolean },
): Promise<BareKafkajs> {
  const kafka = new kafkajs.Kafka({ brokers: [...bootstrapServers], logLevel: kafkajs.logLevel.NOTHING })
  const producer = kafka.producer({
    idempotent: options.idempotent,
    ...(options.idempotent ? { maxInFlightRequests: 1 } : {}),
    createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
  })
  await producer.connect()
  return {
    async send(topic, records) {
      const messages = records.map(({ key, value }) => ({ key, value: value as Buffer }))
      await producer.send({ topic, acks: -1, messages })
    },
    async consume(topic, count) {
      const consumer = kafka.consumer({ groupId: `bare-${process.pid}-${performance.now()}`, maxWaitTimeInMs: 200 })
      await consumer.connect()
      await consumer.subscribe({ topic, fromBeginning: true })
      let left = count
      let startMs: number | undefined
      const done = Promise.withResolvers<number>()
      await consumer.run({
        partitionsConsumedConcurrently: 4,
        eachBatch: async ({ batch }) => {
          startMs ??= performance.now()
          left -= batch.messages.length
          if (left <= 0) done.resolve((performance.now() - startMs) / 1000)
        },
      })
      const seconds = await done.promise
      await consumer.disconnect()
      return seconds
    },
    close: () => producer.disconnect(),
  }
}
