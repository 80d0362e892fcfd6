import { expect } from 'vitest'
import { type Fact, text, valueOf } from './harness.js'

// Some logs clean only what is no longer being appended to, so each wait appends a little more.
const NUDGE = 'nudge'

export function cleanupFacts(fact: Fact): void {
  fact('retention by size drops the oldest, keeps the newest, and never uses an offset again', async (world) => {
    const topic = await world.topic({ partitions: 1, retentionBytes: 100_000 })
    const producer = world.log.producer()
    for (let i = 0; i < 30; i++) await producer.send(topic, [text('key', String(i).padEnd(10_000))])
    await world.until('the oldest dropped', async () => {
      await producer.send(topic, [text(NUDGE, '')])
      return (await world.log.offsets(topic))[0]!.earliest > 0
    })
    const [range] = await world.log.offsets(topic)
    const kept = await world.readAll(topic)
    expect(kept[0]!.offset).toBeGreaterThanOrEqual(range!.earliest)
    expect(kept.map((record) => valueOf(record)?.trim())).toContain('29')
    expect((await producer.send(topic, [text('key', 'next')]))[0]!.offset).toBeGreaterThanOrEqual(range!.next)
  })

  fact('retention by age drops what is older', async (world) => {
    const topic = await world.topic({ partitions: 1, retentionMs: 3_600_000 })
    const producer = world.log.producer()
    const old = Date.now() - 2 * 3_600_000
    await producer.send(
      topic,
      Array.from({ length: 20 }, (_, i) => text('old', String(i), { timestampMs: old + i })),
    )
    await producer.send(topic, [text('young', 'y')])
    await world.until('the old dropped', async () => {
      await producer.send(topic, [text(NUDGE, '')])
      return (await world.log.offsets(topic))[0]!.earliest >= 20
    })
    expect((await world.readAll(topic)).map(({ key }) => key)).toContain('young')
    expect((await world.readAll(topic)).map(({ key }) => key)).not.toContain('old')
  })

  fact('a consumer or reader whose offset has expired goes on at the earliest that is left', async (world) => {
    const topic = await world.topic({ partitions: 1, retentionBytes: 20_000 })
    const group = world.name('group')
    await world.log.commit(group, topic, [{ partition: 0, offset: 1 }])
    const producer = world.log.producer()
    for (let i = 0; i < 10; i++) await producer.send(topic, [text('key', String(i).padEnd(10_000))])
    await world.until('the oldest dropped', async () => {
      await producer.send(topic, [text(NUDGE, '')])
      return (await world.log.offsets(topic))[0]!.earliest > 1
    })
    const member = world.member(world.log, group, topic)
    await world.until('something handed over', () => member.records.length > 0)
    expect(member.records[0]!.offset).toBeGreaterThan(1)
    await member.consumer.close()
    for await (const batch of world.log.reader({ topic, from: [{ partition: 0, offset: 1 }] })) {
      expect(batch.records[0]!.offset).toBeGreaterThan(1)
      break
    }
  })

  fact('compaction keeps the newest of each key at its own offset; null removes the key', async (world) => {
    const topic = await world.topic({ partitions: 1, cleanup: 'compact' })
    const producer = world.log.producer()
    for (let round = 0; round < 5; round++) {
      const keys = ['a', 'b', 'c', 'd']
      await producer.send(
        topic,
        keys.map((key) => text(key, `${key}${round}`)),
      )
    }
    await producer.send(topic, [text('d', null)])
    const compacted = async () => (await world.readAll(topic)).filter(({ key }) => key !== NUDGE)
    await world.until('one record left of each key', async () => {
      await producer.send(topic, [text(NUDGE, '')])
      return (await compacted()).length <= 4
    })
    const left = (await compacted()).filter(({ value }) => value !== null)
    expect(left.map((record) => [record.offset, valueOf(record)])).toEqual([
      [16, 'a4'],
      [17, 'b4'],
      [18, 'c4'],
    ])
    expect((await producer.send(topic, [text('a', 'a5')]))[0]!.offset).toBeGreaterThan(20)
  })

  fact('a topic that is not compacted keeps every record of a key', async (world) => {
    const topic = await world.topic({ partitions: 1 })
    for (let i = 0; i < 5; i++) await world.append(topic, [text('key', String(i))])
    expect((await world.readAll(topic)).map(valueOf)).toEqual(['0', '1', '2', '3', '4'])
  })
}
