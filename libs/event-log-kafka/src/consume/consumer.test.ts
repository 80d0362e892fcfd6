import { expect, test } from 'vitest'
import { unconnected } from '../connection.js'
import { settingsOf } from '../options.js'
import { KafkaConsumer } from './consumer.js'

test('closed before it ever reached the log, a consumer has not failed', async () => {
  const connection = unconnected(settingsOf({ bootstrapServers: ['127.0.0.1:1'], timing: { patienceMs: 300 } }))
  const consumer = new KafkaConsumer({ group: 'g', topics: ['t'] }, connection, () => {})
  const running = consumer.run(async () => {})
  await consumer.close()
  await expect(running).resolves.toBeUndefined()
})
