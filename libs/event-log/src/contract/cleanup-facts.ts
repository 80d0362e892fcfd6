import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import type { Producer } from '../event-log.js'
import { type Fact, text, valueOf, type World } from './harness.js'

const NUDGE = 'nudge'
/** Seldom enough that the nudges never amount to anything themselves. */
const NUDGE_MS = 250

export function cleanupFacts(fact: Fact): void {
  fact('retention by size drops the oldest, keeps the newest, and never uses an offset again', async (world) => {
    const topic = await world.topic({ partitions: 1, retentionBytes: 100_000 })
    const producer = world.log.producer()
    await sendSlowly(producer, topic, 30)
    await cleaned(world, producer, topic, 'the oldest dropped', async () => {
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
    await cleaned(world, producer, topic, 'the old dropped', async () => {
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
    await sendSlowly(producer, topic, 10)
    await cleaned(world, producer, topic, 'the oldest dropped', async () => {
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
    await cleaned(world, producer, topic, 'one record left of each key', async () => (await compacted()).length <= 4)
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

/** 10 kB each, over a while: a log that cleans piece by piece must get several pieces. */
async function sendSlowly(producer: Producer, topic: string, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    await producer.send(topic, [text('key', String(i).padEnd(10_000))])
    await sleep(30)
  }
}

/** Some logs clean only what is no longer being appended to, so the wait appends a little more now and then. */
async function cleaned(
  world: World,
  producer: Producer,
  topic: string,
  what: string,
  isClean: () => Promise<boolean>,
): Promise<void> {
  await world.until(what, async () => {
    if (await isClean()) return true
    await producer.send(topic, [text(NUDGE, '')])
    await sleep(NUDGE_MS)
    return false
  })
}
