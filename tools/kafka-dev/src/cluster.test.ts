import { expect, test } from 'vitest'
import { runKafkaTool } from './kafka-tool.js'
import { testCluster } from './shared.js'
import { describeWithKafka } from './testing.js'

describeWithKafka('a cluster', () => {
  test('loses one broker without losing service, and takes it back', async () => {
    const cluster = await testCluster()
    const topics = (...args: string[]) =>
      runKafkaTool('org.apache.kafka.tools.TopicCommand', [
        '--bootstrap-server',
        cluster.bootstrapServers.join(','),
        '--topic',
        'cluster-test',
        ...args,
      ])
    await topics('--create', '--partitions', '3')
    await cluster.brokers[2]?.kill9()
    expect(await Promise.all(cluster.brokers.map((broker) => broker.isServing()))).toEqual([true, true, false])
    const described = await topics('--describe')
    expect(described).toContain('ReplicationFactor: 3')
    await cluster.start()
    expect(await cluster.brokers[2]?.isServing()).toBe(true)
  }, 180_000)
})
