import { expect } from 'vitest'
import type { LogRecord, Reader } from '../event-log.js'
import { type Fact, numbered, placeOf, text, valueOf } from './harness.js'

export function readerFacts(fact: Fact): void {
  fact('a reader from earliest sees everything, then what is appended later by whomever', async (world) => {
    const topic = await world.topic()
    await world.append(topic, numbered(30))
    const reader = world.log.reader({ topic, from: 'earliest', maxBatchRecords: 4 })
    const reading = collect(reader)
    await reader.caughtUp
    expect(reading.records).toHaveLength(30)
    const other = (await world.another()).producer()
    for (let i = 0; i < 10; i++) await other.send(topic, numbered(1, 10, 30 + i))
    await world.until('all 40 read', () => reading.records.length === 40)
    await reader.close()
    await reading.done
    expect(new Set(reading.records.map(placeOf)).size).toBe(40)
    expect(Math.max(...reading.batchSizes)).toBeLessThanOrEqual(4)
  })

  fact('within a partition a reader hands records over in offset order', async (world) => {
    const topic = await world.topic()
    await world.append(topic, numbered(100))
    const seen = new Map<number, number>()
    for (const { partition, offset } of await world.readAll(topic)) {
      expect(offset).toBeGreaterThan(seen.get(partition) ?? -1)
      seen.set(partition, offset)
    }
  })

  fact('a reader from latest sees only what comes after', async (world) => {
    const topic = await world.topic()
    await world.append(topic, numbered(10))
    const reader = world.log.reader({ topic, from: 'latest' })
    const reading = collect(reader)
    await reader.caughtUp
    await world.append(topic, [text('new', 'n')])
    await world.until('the new record read', () => reading.records.length > 0)
    await reader.close()
    await reading.done
    expect(reading.records.map(valueOf)).toEqual(['n'])
  })

  fact('a reader from offsets starts exactly there, and at the earliest where none is named', async (world) => {
    const topic = await world.topic({ partitions: 2 })
    await world.append(topic, numbered(40))
    const [first, second] = await world.log.offsets(topic)
    const reader = world.log.reader({ topic, from: [{ partition: 0, offset: first!.next - 3 }] })
    const reading = collect(reader)
    await reader.caughtUp
    await reader.close()
    await reading.done
    const ofFirst = reading.records.filter(({ partition }) => partition === 0)
    expect(ofFirst.map(({ offset }) => offset)).toEqual([first!.next - 3, first!.next - 2, first!.next - 1])
    expect(reading.records.length - ofFirst.length).toBe(second!.next)
  })

  fact('caughtUp of an empty topic resolves at once', async (world) => {
    const reader = world.log.reader({ topic: await world.topic(), from: 'earliest' })
    const reading = collect(reader)
    await reader.caughtUp
    await reader.close()
    await reading.done
  })

  fact('caughtUp means that the loop has dealt with what was there', async (world) => {
    const topic = await world.topic()
    await world.append(topic, numbered(20))
    const reader = world.log.reader({ topic, from: 'earliest', maxBatchRecords: 5 })
    let applied = 0
    const applying = (async () => {
      for await (const batch of reader) {
        await new Promise((resolve) => setTimeout(resolve, 5))
        applied += batch.records.length
      }
    })()
    await reader.caughtUp
    expect(applied).toBe(20)
    await reader.close()
    await applying
  })

  fact('close ends a reader that waits, may be repeated, and breaking out of the loop is enough', async (world) => {
    const topic = await world.topic()
    const waiting = world.log.reader({ topic, from: 'earliest' })
    const reading = collect(waiting)
    await waiting.caughtUp
    await waiting.close()
    await waiting.close()
    await reading.done

    await world.append(topic, numbered(10))
    const broken = world.log.reader({ topic, from: 'earliest' })
    for await (const batch of broken) {
      expect(batch.records.length).toBeGreaterThan(0)
      break
    }
    expect(await broken[Symbol.asyncIterator]().next()).toEqual({ done: true, value: undefined })
  })

  fact('a batch says how far the partition reaches', async (world) => {
    const topic = await world.topic({ partitions: 1 })
    await world.append(topic, numbered(10))
    const reader = world.log.reader({ topic, from: 'earliest', maxBatchRecords: 3 })
    for await (const batch of reader) {
      expect(batch.records.map(({ offset }) => offset)).toEqual([0, 1, 2])
      expect(batch.highWatermark).toBe(10)
      break
    }
  })

  fact('offsets gives the range of every partition', async (world) => {
    const topic = await world.topic({ partitions: 2 })
    expect(await world.log.offsets(topic)).toEqual([
      { partition: 0, earliest: 0, next: 0 },
      { partition: 1, earliest: 0, next: 0 },
    ])
    await world.append(topic, numbered(40))
    const ranges = await world.log.offsets(topic)
    expect(ranges.map(({ earliest }) => earliest)).toEqual([0, 0])
    expect(ranges.reduce((sum, { next }) => sum + next, 0)).toBe(40)
  })
}

function collect(reader: Reader): { records: LogRecord[]; batchSizes: number[]; done: Promise<void> } {
  const records: LogRecord[] = []
  const batchSizes: number[] = []
  const done = (async () => {
    for await (const batch of reader) {
      records.push(...batch.records)
      batchSizes.push(batch.records.length)
    }
  })()
  return { records, batchSizes, done }
}
