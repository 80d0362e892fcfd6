import { expect, test } from 'vitest'
import { openTestLog, readAll, temporaryDirectory, topicSpec } from './testing/temporary-log.js'

test('when the process that cleans up is closed, another goes on', async () => {
  const directory = temporaryDirectory()
  const [first, second] = [1, 2].map(() => openTestLog(directory, { maintenanceIntervalMs: 5 }))
  await first!.ensureTopics([topicSpec({ retentionBytes: 2000 })])
  const fill = async () => {
    const records = Array.from({ length: 20 }, () => ({ key: 'a', value: Buffer.alloc(500), headers: {} }))
    await second!.producer().send('topic', records)
    await expect.poll(async () => (await readAll(second!, 'topic')).length).toBeLessThan(5)
  }
  await fill()
  await first!.close()
  await fill()
})
