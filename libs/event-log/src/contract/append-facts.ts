import { expect } from 'vitest'
import { partitionOf } from '../partitioner.js'
import { expectCode, type Fact, numbered, placeOf, text, valueOf, valuesByKey } from './harness.js'

export function appendFacts(fact: Fact): void {
  fact('records of one key keep the order of the sends, whether awaited or not', async (world) => {
    const topic = await world.topic()
    const producer = world.log.producer()
    const records = numbered(300, 7)
    const sends = records.map((record) => producer.send(topic, [record]))
    await Promise.all(sends)
    for (const [key, values] of valuesByKey(await world.readAll(topic))) {
      expect(values).toEqual(records.filter((record) => record.key === key).map(valueOf))
    }
  })

  fact('offsets grow, nothing is appended twice, and send says where each record went', async (world) => {
    const topic = await world.topic()
    const producer = world.log.producer()
    const records = numbered(50)
    const appended = [...(await producer.send(topic, records)), ...(await producer.send(topic, records))]
    expect(new Set(appended.map(({ partition, offset }) => `${partition}/${offset}`)).size).toBe(100)
    const byPlace = new Map((await world.readAll(topic)).map((record) => [placeOf(record), record]))
    for (const [index, { partition, offset }] of appended.entries()) {
      const record = byPlace.get(`${partition}/${offset}`)
      expect(record?.key).toBe(records[index % 50]?.key)
      expect(record && valueOf(record)).toBe(String(index % 50))
    }
  })

  fact("the partition is the one Kafka's murmur2 partitioner chooses", async (world) => {
    const topic = await world.topic({ partitions: 7 })
    const keys = ['', 'a', 'sample-1', 'Ünïcode', '日本語', '🙂'.repeat(20), 'x'.repeat(1000)]
    const appended = await world.log.producer().send(
      topic,
      keys.map((key) => text(key, 'v')),
    )
    expect(appended.map(({ partition }) => partition)).toEqual(keys.map((key) => partitionOf(key, 7)))
  })

  fact('a record comes back as it was sent', async (world) => {
    const topic = await world.topic({ partitions: 1, cleanup: 'compact' })
    const large = Uint8Array.from({ length: 900 * 1024 }, (_, i) => (i * 31) & 255)
    const sent = [
      { key: 'empty value', value: new Uint8Array(0), headers: {}, timestampMs: 1 },
      { key: 'large value', value: large, headers: { ce_id: '1' }, timestampMs: 1_700_000_000_000 },
      { key: 'ключ 🙂 "\\', value: Buffer.from([0, 255, 0]), headers: { 'x-ü': 'wert 🙂', empty: '' }, timestampMs: 2 },
      { key: '', value: Buffer.from('empty key'), headers: {}, timestampMs: 3 },
      { key: 'tombstone', value: null, headers: { why: 'gone' }, timestampMs: 4 },
    ]
    await world.append(topic, sent)
    const records = await world.readAll(topic, await world.another())
    expect(records).toHaveLength(sent.length)
    for (const [offset, record] of records.entries()) {
      const { key, value, headers, timestampMs } = sent[offset]!
      expect(record).toMatchObject({ topic, partition: 0, offset, key, timestampMs })
      expect(record.headers).toEqual(headers)
      if (value === null) expect(record.value).toBeNull()
      else expect(Buffer.compare(record.value ?? Buffer.from('null'), value)).toBe(0)
    }
  })

  fact('a record without a time gets the time of the send', async (world) => {
    const topic = await world.topic()
    const before = Date.now()
    await world.append(topic, [text('a', '1')])
    const [record] = await world.readAll(topic)
    expect(record?.timestampMs).toBeGreaterThanOrEqual(before)
    expect(record?.timestampMs).toBeLessThanOrEqual(Date.now())
  })

  fact('a record that is too large is refused with all that was sent along with it', async (world) => {
    const topic = await world.topic({ maxRecordBytes: 1000 })
    const producer = world.log.producer()
    await expectCode(producer.send(topic, [text('ok', 'v'), text('key', 'x'.repeat(998))]), 'RECORD_TOO_LARGE')
    expect(await world.readAll(topic)).toEqual([])
    await producer.send(topic, [text('key', 'x'.repeat(997))])
    expect(producer.bytesInFlight).toBe(0)
  })

  fact('sending nothing is fine', async (world) => {
    expect(await world.log.producer().send(await world.topic(), [])).toEqual([])
  })

  fact('two processes append to one topic: every record once, each in its own order', async (world) => {
    const topic = await world.topic({ partitions: 1 })
    const producers = [world.log.producer(), (await world.another()).producer()]
    await Promise.all(
      producers.map(async (producer, who) => {
        for (let i = 0; i < 40; i++) await producer.send(topic, [text(`from-${who}`, String(i))])
      }),
    )
    const records = await world.readAll(topic)
    const expected = Array.from({ length: 40 }, (_, i) => String(i))
    expect(valuesByKey(records).get('from-0')).toEqual(expected)
    expect(valuesByKey(records).get('from-1')).toEqual(expected)
    expect(records.map(({ offset }) => offset)).toEqual([...records.keys()])
  })

  fact('send waits when the bytes in flight reach their bound, and keeps the order', async (world) => {
    const topic = await world.topic({ partitions: 1 })
    const maxBytesInFlight = 20_000
    const producer = world.log.producer({ maxBytesInFlight })
    let mostInFlight = 0
    const sends = Array.from({ length: 60 }, async (_, i) => {
      // The short ones would fit while a long one waits, and must not overtake it.
      const sent = producer.send(topic, [text('key', String(i).padEnd(i % 3 === 2 ? 100 : 3000))])
      mostInFlight = Math.max(mostInFlight, producer.bytesInFlight)
      await sent
      mostInFlight = Math.max(mostInFlight, producer.bytesInFlight)
    })
    expect(producer.bytesInFlight).toBeGreaterThan(0)
    await Promise.all(sends)
    expect(mostInFlight).toBeLessThanOrEqual(maxBytesInFlight)
    expect(producer.bytesInFlight).toBe(0)
    const values = (await world.readAll(topic)).map((record) => valueOf(record)?.trim())
    expect(values).toEqual(Array.from({ length: 60 }, (_, i) => String(i)))
  })

  fact('one send larger than that bound goes through alone', async (world) => {
    const topic = await world.topic()
    await world.log.producer({ maxBytesInFlight: 100 }).send(topic, numbered(100))
    expect(await world.readAll(topic)).toHaveLength(100)
  })

  fact('told to shed, send refuses above that bound at once, and accepts nothing of it', async (world) => {
    const topic = await world.topic({ partitions: 1 })
    const producer = world.log.producer({ maxBytesInFlight: 20_000, whenFull: 'shed' })
    const sends = Array.from({ length: 60 }, (_, i) => producer.send(topic, [text('key', String(i).padEnd(3000))]))
    const settled = await Promise.allSettled(sends)
    const accepted = [...settled.keys()].filter((i) => settled[i]!.status === 'fulfilled')
    expect(accepted.length).toBeGreaterThan(0)
    expect(accepted.length).toBeLessThanOrEqual(Math.floor(20_000 / 3000))
    const refused = sends[settled.findIndex(({ status }) => status === 'rejected')]!
    expect(await expectCode(refused, 'PRODUCER_FULL')).toMatchObject({ retryable: true })
    await producer.flush()
    await producer.send(topic, [text('key', 'room again')])
    expect(producer.bytesInFlight).toBe(0)
    const values = (await world.readAll(topic)).map((record) => valueOf(record)?.trim())
    expect(values).toEqual([...accepted.map(String), 'room again'])
  })

  fact('flush and close wait for what was sent; a closed producer refuses', async (world) => {
    const topic = await world.topic()
    const producer = world.log.producer()
    const first = producer.send(topic, numbered(10))
    await producer.flush()
    expect(await world.readAll(topic)).toHaveLength(10)
    const second = producer.send(topic, numbered(10))
    await producer.close()
    await producer.close()
    expect(await world.readAll(topic)).toHaveLength(20)
    await Promise.all([first, second])
    await expectCode(producer.send(topic, numbered(1)), 'LOG_CLOSED')
  })
}
