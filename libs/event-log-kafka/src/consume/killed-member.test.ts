import type { EventLog } from '@plateau/event-log'
import { startProgram } from '@plateau/event-log/contract-suite'
import { testBroker } from '@plateau/kafka-dev'
import { describeWithKafka } from '@plateau/kafka-dev/testing'
import { expect, test } from 'vitest'
import { openLog } from '../testing/open-log.js'
import { Handed, keysFor } from '../testing/steady-load.js'
import { topicOf } from '../testing/topic-of.js'
import { until } from '../testing/until.js'

const PARTITIONS = 4
const SESSION_TIMEOUT_MS = 2000

describeWithKafka('a member in a process of its own', () => {
  test('killed, it loses its partitions to the others after its session timeout; frozen and woken, it joins again', async () => {
    const servers = (await testBroker()).bootstrapServers.join()
    const log = await openLog(servers)
    const topic = `killed.${process.pid}.${Date.now()}`
    await log.ensureTopics([topicOf(topic, { partitions: PARTITIONS })])
    const group = `${topic}.group`
    const member = new URL('../testing/member-program.ts', import.meta.url)
    const start = () => startProgram(member, [servers, group, topic, SESSION_TIMEOUT_MS])
    const killed = start()
    const frozen = start()
    const handed = new Handed()
    const consumer = log.consumer({ group, topics: [topic], sessionTimeoutMs: SESSION_TIMEOUT_MS })
    const running = consumer.run(handed.handler)
    try {
      await until('each has a share', async () => {
        await appendTo(log, topic)
        const mine = consumer.assigned.length
        return hasWork(killed.lines) && hasWork(frozen.lines) && (mine === 1 || mine === 2)
      })
      await killed.kill()
      await until('the two that are left share', async () => {
        await appendTo(log, topic)
        return consumer.assigned.length === 2
      })
      frozen.freeze()
      await until('the last one has all', () => consumer.assigned.length === PARTITIONS)
      await appendTo(log, topic)
      const ends = async () => (await log.offsets(topic)).map(({ next }) => next)
      const committed = async () => (await log.committed(group, topic)).map(({ offset }) => offset)
      await until('everything committed', async () => String(await committed()) === String(await ends()))
      frozen.thaw()
      const before = frozen.lines.length
      await until('it has a share again, and works', async () => {
        await appendTo(log, topic)
        return consumer.assigned.length === 2 && frozen.lines.length > before
      })
      expect(handed.again).toEqual([])
    } finally {
      await Promise.all([killed.kill(), frozen.kill()])
      await log.close()
      await running
    }
  }, 120_000)
})

function hasWork(lines: readonly string[]): boolean {
  return lines.some((line) => line.startsWith('has '))
}

async function appendTo(log: EventLog, topic: string): Promise<void> {
  const keys = Array.from({ length: PARTITIONS }, (_, partition) => keysFor(partition, PARTITIONS, 1)).flat()
  const producer = log.producer()
  await producer.send(
    topic,
    keys.map((key) => ({ key, value: Buffer.from(key), headers: {} })),
  )
  await producer.close()
}
