import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { deadLetterRecord } from '../dead-letter.js'
import { expectCode, type Fact, nextOffset, numbered, placeOf, text, valueOf, type World } from './harness.js'

/** How long to look at something that must not happen. */
const QUIET_MS = 150

export function groupFacts(fact: Fact): void {
  fact('a member gets every record, in offset order within each partition', async (world) => {
    const topic = await world.topic()
    await world.append(topic, numbered(50))
    const member = world.member(world.log, world.name('group'), topic)
    await world.until('all handed over', () => member.records.length === 50)
    const other = (await world.another()).producer()
    await other.send(topic, numbered(20))
    await world.until('the later ones, too', () => member.records.length === 70)
    for (const partition of [0, 1, 2]) {
      const offsets = member.records.filter((record) => record.partition === partition).map(({ offset }) => offset)
      expect(offsets).toEqual([...offsets.keys()])
    }
    await member.consumer.close()
    await member.running
  })

  fact('batches of a partition come one at a time and hold at most so many records', async (world) => {
    const topic = await world.topic({ partitions: 1 })
    await world.append(topic, numbered(30))
    const consumer = world.log.consumer({ group: world.name('group'), topics: [topic], maxBatchRecords: 4 })
    let inHand = 0
    let mostInHand = 0
    const sizes: number[] = []
    const running = consumer.run(async (batch) => {
      mostInHand = Math.max(mostInHand, ++inHand)
      sizes.push(batch.records.length)
      await sleep(2)
      inHand--
    })
    await world.until('all handed over', () => sizes.reduce((sum, size) => sum + size, 0) === 30)
    await consumer.close()
    await running
    expect(mostInHand).toBe(1)
    expect(Math.max(...sizes)).toBe(4)
  })

  fact('a long backlog leaves the rest of the process its turns', async (world) => {
    const topic = await world.topic({ partitions: 1 })
    await world.append(topic, numbered(60))
    const consumer = world.log.consumer({ group: world.name('group'), topics: [topic], maxBatchRecords: 2 })
    let handedOver = 0
    let batches = 0
    let turns = 0
    let late = 0
    const running = consumer.run(async ({ records }) => {
      if (turns < batches) late++
      batches++
      handedOver += records.length
      setImmediate(() => turns++)
    })
    await world.until('all handed over', () => handedOver === 60)
    expect(late).toBe(0)
    await consumer.close()
    await running

    handedOver = batches = turns = 0
    for await (const { records } of world.log.reader({ topic, from: 'earliest', maxBatchRecords: 2 })) {
      expect(turns).toBe(batches)
      batches++
      handedOver += records.length
      setImmediate(() => turns++)
      if (handedOver === 60) break
    }
  })

  fact('nothing is committed on its own: what was only handed over comes again', async (world) => {
    const topic = await world.topic()
    const group = world.name('group')
    await world.append(topic, numbered(20))
    const first = world.member(world.log, group, topic)
    await world.until('all handed over', () => first.records.length === 20)
    await first.consumer.close()
    const none = [0, 1, 2].map((partition) => ({ partition, offset: -1 }))
    expect(await world.log.committed(group, topic)).toEqual(none)
    const second = world.member(world.log, group, topic)
    await world.until('all handed over again', () => second.records.length === 20)
    await second.consumer.close()
  })

  fact('after a commit and a restart the group goes on exactly there', async (world) => {
    const topic = await world.topic({ partitions: 1 })
    const group = world.name('group')
    await world.append(topic, numbered(10))
    const first = world.member(world.log, group, topic, async (_batch, control) => control.commit(7))
    await world.until('committed', async () => (await world.log.committed(group, topic))[0]!.offset === 7)
    await first.consumer.close()
    const second = world.member(await world.another(), group, topic)
    await world.until('the rest handed over', () => second.records.length === 3)
    await sleep(QUIET_MS)
    expect(second.records.map(({ offset }) => offset)).toEqual([7, 8, 9])
    await second.consumer.close()
  })

  fact('run rejects with what the handler threw, and the batch comes again', async (world) => {
    const topic = await world.topic({ partitions: 1 })
    const group = world.name('group')
    await world.append(topic, numbered(3))
    const reason = new Error('the handler could not')
    const first = world.member(world.log, group, topic, async () => {
      throw reason
    })
    await expect(first.running).rejects.toBe(reason)
    await first.consumer.close()
    const second = world.member(world.log, group, topic)
    await world.until('handed over again', () => second.records.length === 3)
    await second.consumer.close()
  })

  fact('a new group starts at the earliest, or at the latest when told so', async (world) => {
    const topic = await world.topic({ partitions: 1 })
    await world.append(topic, numbered(5))
    const consumer = world.log.consumer({ group: world.name('group'), topics: [topic], from: 'latest' })
    const values: (string | null)[] = []
    const running = consumer.run(async (batch) => void values.push(...batch.records.map(valueOf)))
    await world.until('assigned', () => consumer.assigned.length === 1)
    await sleep(QUIET_MS)
    await world.append(topic, [text('new', 'n')])
    await world.until('handed over', () => values.length > 0)
    expect(values).toEqual(['n'])
    await consumer.close()
    await running
  })

  fact('groups do not disturb each other', async (world) => {
    const topic = await world.topic()
    await world.append(topic, numbered(10))
    const members = ['one', 'two'].map((name) => world.member(world.log, world.name(name), topic, commitAll))
    for (const { records } of members) await world.until('all handed over', () => records.length === 10)
    for (const { consumer } of members) await consumer.close()
  })

  fact('two members share the partitions; one leaves and the other takes over; nothing comes twice', async (world) => {
    const topic = await world.topic({ partitions: 4 })
    const group = world.name('group')
    const producer = world.log.producer()
    const first = world.member(world.log, group, topic, commitAll)
    const second = world.member(await world.another(), group, topic, commitAll)
    const counts = () => [first.consumer.assigned.length, second.consumer.assigned.length]
    let sent = 0
    const sendSome = async () => {
      await producer.send(topic, numbered(20, 50, sent))
      sent += 20
    }
    await world.until('two partitions each', async () => {
      await sendSome()
      return counts().join() === '2,2'
    })
    for (let i = 0; i < 5; i++) await sendSome()
    await world.until('all handed over', () => first.records.length + second.records.length >= sent)
    expect(second.records.length).toBeGreaterThan(0)

    await first.consumer.close()
    await world.until('the other has all four', () => second.consumer.assigned.length === 4)
    for (let i = 0; i < 5; i++) await sendSome()
    await world.until('all handed over', () => first.records.length + second.records.length >= sent)
    await sleep(QUIET_MS)
    const places = [...first.records, ...second.records].map(placeOf)
    expect(new Set(places).size).toBe(sent)
    expect(places).toHaveLength(sent)
    await second.consumer.close()
  })

  fact('more members than partitions: each partition has one owner, the others wait their turn', async (world) => {
    const topic = await world.topic({ partitions: 2 })
    const group = world.name('group')
    const members = [1, 2, 3].map(() => world.member(world.log, group, topic, commitAll))
    const owned = () => members.map(({ consumer }) => consumer.assigned.length).toSorted((a, b) => a - b)
    await world.until('one each for two of them', () => owned().join() === '0,1,1')
    const owner = members.find(({ consumer }) => consumer.assigned.length === 1)
    await owner?.consumer.close()
    await world.until('the third has taken over', () => owned().join() === '0,1,1')
    for (const { consumer } of members) await consumer.close()
  })

  fact('a batch whose partition is taken away is told so and cannot commit', async (world) => {
    const topic = await world.topic({ partitions: 2 })
    const group = world.name('group')
    await world.append(topic, numbered(40))
    let over = false
    const refused: unknown[] = []
    const slow = world.member(world.log, group, topic, async (batch, control) => {
      while (!over && !control.signal.aborted) await sleep(5)
      if (!control.signal.aborted) return
      await control.commit(nextOffset(batch)).catch((thrown: unknown) => refused.push(thrown))
    })
    await world.until('both in hand', () => new Set(slow.records.map(({ partition }) => partition)).size === 2)
    const quick = world.member(await world.another(), group, topic, commitAll)
    await world.until('a commit refused', () => refused.length > 0)
    await expectCode(Promise.reject(refused[0]), 'PARTITION_LOST')
    await world.until('the new owner has it', () => quick.records.length > 0)
    over = true
    await slow.consumer.close()
    await quick.consumer.close()
  })

  fact('a handler that lets PARTITION_LOST pass ends its batch, not the consumer', async (world) => {
    const topic = await world.topic({ partitions: 2 })
    const group = world.name('group')
    await world.append(topic, numbered(40))
    let lost = 0
    const slow = world.member(world.log, group, topic, async (batch, control) => {
      while (lost === 0 && !control.signal.aborted) await sleep(5)
      if (control.signal.aborted) lost++
      await control.commit(nextOffset(batch))
    })
    await world.until('both in hand', () => new Set(slow.records.map(({ partition }) => partition)).size === 2)
    const quick = world.member(await world.another(), group, topic, commitAll)
    await world.until('lost one, keeps one', () => lost > 0 && slow.consumer.assigned.length === 1)
    await quick.consumer.close()
    await world.until('has both again', () => slow.consumer.assigned.length === 2)
    const before = slow.records.length
    await world.append(topic, numbered(40))
    await world.until('goes on', () => slow.records.length >= before + 40)
    await slow.consumer.close()
    await slow.running
  })

  fact('a commit kept for later is refused once the partition has another owner', async (world) => {
    const topic = await world.topic({ partitions: 1 })
    const group = world.name('group')
    await world.append(topic, numbered(5))
    let commitLater: (() => Promise<void>) | undefined
    const first = world.member(world.log, group, topic, async (batch, control) => {
      commitLater = () => control.commit(nextOffset(batch))
    })
    await world.until('handed over', () => commitLater !== undefined)
    await commitLater?.()
    expect(await world.log.committed(group, topic)).toEqual([{ partition: 0, offset: 5 }])
    await first.consumer.close()
    await expectCode(commitLater!(), 'PARTITION_LOST')
  })

  fact('a handler slower than the session timeout keeps its partition and may commit', async (world) => {
    const topic = await world.topic({ partitions: 1 })
    const group = world.name('group')
    await world.append(topic, numbered(1))
    const member = world.member(world.log, group, topic, async (batch, control) => {
      await sleep(world.sessionTimeoutMs * 1.5)
      await control.commit(nextOffset(batch))
    })
    await world.until('committed', async () => (await world.log.committed(group, topic))[0]!.offset === 1)
    expect(member.records).toHaveLength(1)
    await member.consumer.close()
  })

  fact(
    'a member is seen to be alive while it idles, while a handler is long, and while it is paused',
    async (world) => {
      const topic = await world.topic({ partitions: 1 })
      let seen = 0
      const options = { group: world.name('group'), topics: [topic], sessionTimeoutMs: world.sessionTimeoutMs }
      const consumer = world.log.consumer({ ...options, onAlive: () => seen++ })
      let isInHand = false
      let isEnough = false
      const running = consumer.run(async () => {
        isInHand = true
        while (!isEnough) await sleep(5)
      })
      const goesOn = async (when: string) => {
        const before = seen
        await world.until(`seen three times more ${when}`, () => seen >= before + 3)
      }
      await world.until('assigned', () => consumer.assigned.length === 1)
      await goesOn('while idle')
      await world.append(topic, [text('a', '1')])
      await world.until('in hand', () => isInHand)
      await goesOn('while the handler works')
      isEnough = true
      consumer.pause()
      await goesOn('while paused')
      await consumer.close()
      await running
      const before = seen
      await sleep(Math.max(QUIET_MS, world.sessionTimeoutMs))
      expect(seen).toBe(before)
    },
  )

  fact('a paused consumer gets nothing, keeps its partitions, and goes on after resume', async (world) => {
    const topic = await world.topic()
    const member = world.member(world.log, world.name('group'), topic, commitAll)
    await world.until('assigned', () => member.consumer.assigned.length === 3)
    await sleep(QUIET_MS)
    member.consumer.pause()
    await world.append(topic, numbered(10))
    await sleep(Math.max(QUIET_MS, world.sessionTimeoutMs * 1.5))
    expect(member.records).toEqual([])
    expect(member.consumer.assigned).toHaveLength(3)
    member.consumer.resume()
    await world.until('all handed over', () => member.records.length === 10)
    await member.consumer.close()
  })

  fact('close lets the batch in hand finish and commit, hands over no other, and may be repeated', async (world) => {
    const topic = await world.topic({ partitions: 1 })
    const group = world.name('group')
    await world.append(topic, numbered(10))
    const consumer = world.log.consumer({ group, topics: [topic], maxBatchRecords: 2 })
    const inHand = Promise.withResolvers<void>()
    let batches = 0
    const running = consumer.run(async (batch, control) => {
      batches++
      inHand.resolve()
      await sleep(50)
      await control.commit(nextOffset(batch))
    })
    await inHand.promise
    await Promise.all([consumer.close(), consumer.close()])
    await running
    expect(batches).toBe(1)
    expect(await world.log.committed(group, topic)).toEqual([{ partition: 0, offset: 2 }])
  })

  fact('closed right after run, a member leaves at once, and without run it is closed just the same', async (world) => {
    const topic = await world.topic({ partitions: 2 })
    const options = { group: world.name('group'), topics: [topic], sessionTimeoutMs: 300_000 }
    const hasty = world.log.consumer(options)
    const running = hasty.run(async () => {})
    await Promise.all([hasty.close(), world.log.consumer(options).close()])
    await running
    const member = world.log.consumer(options)
    const memberRunning = member.run(async () => {})
    await world.until('has both', () => member.assigned.length === 2)
    await member.close()
    await memberRunning
  })

  fact('closing the log closes what was opened through it, may be repeated, and then it refuses', async (world) => {
    const topic = await world.topic({ partitions: 1 })
    const group = world.name('group')
    const log = await world.another()
    await world.append(topic, numbered(5))
    const member = world.member(log, group, topic, async (batch, control) => {
      await sleep(30)
      await control.commit(nextOffset(batch))
    })
    const reader = log.reader({ topic, from: 'latest' })
    const reading = reader[Symbol.asyncIterator]().next()
    const sent = log.producer().send(topic, [text('key', 'last')])
    await world.until('in hand', () => member.records.length > 0)
    await Promise.all([log.close(), log.close()])
    await member.running
    expect(await reading).toMatchObject({ done: expect.any(Boolean) as boolean })
    await sent
    expect((await world.log.committed(group, topic))[0]!.offset).toBeGreaterThanOrEqual(5)
    await expectCode(log.offsets(topic), 'LOG_CLOSED')
  })

  fact('a consumer that keeps its own offsets can publish them; a group begins where they say', async (world) => {
    const topic = await world.topic({ partitions: 2 })
    const group = world.name('group')
    await world.append(topic, numbered(40))
    const [first, second] = await world.log.offsets(topic)
    await world.log.commit(group, topic, [{ partition: 1, offset: second!.next - 1 }])
    expect(await (await world.another()).committed(group, topic)).toEqual([
      { partition: 0, offset: -1 },
      { partition: 1, offset: second!.next - 1 },
    ])
    const member = world.member(world.log, group, topic)
    await world.until('all handed over', () => member.records.length === first!.next + 1)
    await member.consumer.close()
  })

  fact('a poison record goes to its dead letter topic untouched, and the group goes on', async (world) => {
    const topic = await world.topic({ partitions: 1 })
    const group = world.name('group')
    const deadLetters = await world.topic({ partitions: 1 })
    const poison = text('sample-7', '\u0000not protobuf', { headers: { ce_id: '7', traceparent: '00-ab' } })
    await world.append(topic, [text('sample-6', 'good'), poison, text('sample-8', 'good')])
    await consumeUntilEnd(world, topic, group, deadLetters)
    const [dead] = await world.readAll(deadLetters)
    expect(dead?.key).toBe('sample-7')
    expect(dead && valueOf(dead)).toBe('\u0000not protobuf')
    expect(dead?.headers).toMatchObject({
      ce_id: '7',
      traceparent: '00-ab',
      'x-dlq-original-topic': topic,
      'x-dlq-original-partition': '0',
      'x-dlq-original-offset': '1',
      'x-dlq-group': group,
      'x-dlq-error-class': 'SyntaxError',
    })
    expect(await world.log.committed(group, topic)).toEqual([{ partition: 0, offset: 3 }])
  })
}

const commitAll: Parameters<World['member']>[3] = async (batch, control) => control.commit(nextOffset(batch))

async function consumeUntilEnd(world: World, topic: string, group: string, deadLetters: string): Promise<void> {
  const producer = world.log.producer()
  const good: (string | null)[] = []
  const member = world.member(world.log, group, topic, async (batch, control) => {
    for (const record of batch.records) {
      if (valueOf(record) === 'good') good.push(valueOf(record))
      else await producer.send(deadLetters, [deadLetterRecord(record, group, new SyntaxError('bad'), Date.now())])
    }
    await control.commit(nextOffset(batch))
  })
  await world.until('the end reached', async () => (await world.log.committed(group, topic))[0]!.offset === 3)
  expect(good).toHaveLength(2)
  await member.consumer.close()
}
