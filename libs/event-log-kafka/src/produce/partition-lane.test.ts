import { setTimeout as sleep } from 'node:timers/promises'
import { PlateauError } from '@plateau/contracts'
import { expect, test } from 'vitest'
import type { PartitionBatch } from './batch-sender.js'
import { type LaneRecord, PartitionLane, SendCall } from './partition-lane.js'

/** Acknowledges when told to. */
class SlowSender {
  readonly batches: PartitionBatch[] = []
  readonly #answers: PromiseWithResolvers<number>[] = []

  send(batch: PartitionBatch): Promise<number> {
    this.batches.push(batch)
    const answer = Promise.withResolvers<number>()
    this.#answers.push(answer)
    return answer.promise
  }

  async acknowledge(offset: number): Promise<void> {
    this.#answers.shift()!.resolve(offset)
    await sleep(0)
  }

  async refuse(reason: Error): Promise<void> {
    this.#answers.shift()!.reject(reason)
    await sleep(0)
  }

  get sizes(): number[] {
    return this.batches.map(({ records }) => records.length)
  }
}

function laneOver(sender: SlowSender, { lingerMs = 0, maxBatchBytes = 1_000_000 } = {}): PartitionLane {
  return new PartitionLane({ topic: 't', partition: 3 }, sender, { lingerMs, maxBatchBytes })
}

function record(bytes = 100): LaneRecord {
  const call = new SendCall(1)
  call.settled.catch(() => {})
  return { key: Buffer.from('k'), value: null, headers: {}, timestampMs: 0, bytes, call, index: 0 }
}

test('what comes while a batch is on its way is the next batch', async () => {
  const sender = new SlowSender()
  const lane = laneOver(sender)
  lane.add(record())
  await sleep(0)
  for (let i = 0; i < 5; i++) lane.add(record())
  await sleep(0)
  expect(sender.sizes).toEqual([1])
  await sender.acknowledge(10)
  expect(sender.sizes).toEqual([1, 5])
})

test('records that are added in one turn of the event loop travel together', async () => {
  const sender = new SlowSender()
  const lane = laneOver(sender)
  for (let i = 0; i < 7; i++) lane.add(record())
  await sleep(0)
  expect(sender.sizes).toEqual([7])
})

test('a lone record waits for company, a large batch does not', async () => {
  const sender = new SlowSender()
  const lane = laneOver(sender, { lingerMs: 3_600_000 })
  lane.add(record())
  await sleep(5)
  expect(sender.sizes).toEqual([])
  lane.add(record(70_000))
  await sleep(0)
  expect(sender.sizes).toEqual([2])
})

test('no batch grows beyond its bound, and one record larger than the bound goes alone', async () => {
  const sender = new SlowSender()
  const lane = laneOver(sender, { maxBatchBytes: 1000 })
  for (const bytes of [400, 400, 400, 5000, 100]) lane.add(record(bytes))
  for (let i = 0; i < 4; i++) {
    await sleep(0)
    await sender.acknowledge(i)
  }
  expect(sender.sizes).toEqual([2, 1, 1, 1])
})

test('each record learns its own offset', async () => {
  const sender = new SlowSender()
  const lane = laneOver(sender)
  const records = [record(), record(), record()]
  for (const added of records) lane.add(added)
  await sleep(0)
  await sender.acknowledge(40)
  expect(await Promise.all(records.map(({ call }) => call.settled))).toEqual([
    [{ partition: 3, offset: 40 }],
    [{ partition: 3, offset: 41 }],
    [{ partition: 3, offset: 42 }],
  ])
})

test('a batch that fails fails its own calls, and the next one goes', async () => {
  const sender = new SlowSender()
  const lane = laneOver(sender)
  const first = record()
  lane.add(first)
  await sleep(0)
  const second = record()
  lane.add(second)
  await sender.refuse(new Error('no'))
  await expect(first.call.settled).rejects.toThrow('no')
  await sender.acknowledge(1)
  expect(await second.call.settled).toEqual([{ partition: 3, offset: 1 }])
})

test('records that are refused for their size together are sent in halves; one alone is too large', async () => {
  const tooLarge = new PlateauError('RECORD_TOO_LARGE', 'max.message.bytes')
  const sender = new SlowSender()
  const lane = laneOver(sender)
  const records = [record(), record(), record()]
  for (const added of records) lane.add(added)
  await sleep(0)
  await sender.refuse(tooLarge)
  await sender.acknowledge(5)
  await sender.refuse(tooLarge)
  expect(sender.sizes).toEqual([3, 2, 1])
  expect(await records[1]!.call.settled).toEqual([{ partition: 3, offset: 6 }])
  await expect(records[2]!.call.settled).rejects.toBe(tooLarge)
})

test('a call over several partitions settles when the last of them has, with the first failure', async () => {
  const call = new SendCall(2)
  let isSettled = false
  void call.settled.then(
    () => {},
    () => (isSettled = true),
  )
  call.fail(new Error('first'))
  await sleep(0)
  expect(isSettled).toBe(false)
  call.append(1, { partition: 0, offset: 0 })
  await expect(call.settled).rejects.toThrow('first')
})
