import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openTestLog, temporaryDirectory, topicSpec } from './testing/temporary-log.js'

test('where files cannot be watched, readers still learn of what others append', async () => {
  const directory = temporaryDirectory()
  const [writing, reading] = [openTestLog(directory), openTestLog(directory)]
  await writing.ensureTopics([topicSpec()])
  rmSync(join(directory, 'wake'), { recursive: true })
  const reader = reading.reader({ topic: 'topic', from: 'earliest' })
  const first = reader[Symbol.asyncIterator]().next()
  await writing.producer().send('topic', [{ key: 'a', value: Buffer.from('1'), headers: {} }])
  expect((await first).value?.records).toHaveLength(1)
})
