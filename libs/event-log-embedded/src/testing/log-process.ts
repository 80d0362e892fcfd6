/**
 * A process of its own that uses the log, for tests that kill it. Says what it did as lines on stdout, which is
 * synchronous for pipes: a line that was read is about something that happened before the kill.
 *
 *   append DIR TOPIC KEY FROM     sends FROM, FROM+1, ... under KEY for ever; "acked SEQ PARTITION OFFSET"
 *   create DIR TOPIC KEY FROM     the same after creating the topic
 *   consume DIR TOPIC GROUP SESSION_TIMEOUT_MS [hold]
 *                                 "got PARTITION OFFSET" per record, commits each batch, or waits for "go" on stdin
 *                                 with the batch in hand; "committed PARTITION OFFSET", "refused CODE"
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { PlateauError } from '@plateau/contracts'
import type { Batch, BatchControl, EventLog } from '@plateau/event-log'
import { openEmbeddedEventLog } from '../index.js'
import { topicSpec } from './topic-spec.js'

const SENDS_AT_ONCE = 5

const [mode = '', directory = '', topic = '', ...rest] = process.argv.slice(2)
const log = openEmbeddedEventLog(directory, { maintenanceIntervalMs: 10, compactionLagMs: 0 })
say('ready')
if (mode === 'create') await log.ensureTopics([topicSpec({ name: topic, partitions: 4 })])
if (mode === 'consume') await consume(log, rest[0] ?? '', Number(rest[1]), rest[2] === 'hold')
else await append(log, rest[0] ?? '', Number(rest[1]))

async function append(log: EventLog, key: string, from: number): Promise<void> {
  const producer = log.producer()
  for (let seq = from; ; seq += SENDS_AT_ONCE) {
    const sends = Array.from({ length: SENDS_AT_ONCE }, async (_, i) => {
      const value = Buffer.from(String(seq + i).padEnd(200 + ((seq * 37) % 3000)))
      const [at] = await producer.send(topic, [{ key, value, headers: {} }])
      say(`acked ${seq + i} ${at?.partition} ${at?.offset}`)
    })
    await Promise.all(sends)
    await sleep(1)
  }
}

async function consume(log: EventLog, group: string, sessionTimeoutMs: number, holds: boolean): Promise<void> {
  let isHolding = holds
  process.stdin.once('data', () => (isHolding = false))
  const consumer = log.consumer({ group, topics: [topic], sessionTimeoutMs, maxBatchRecords: 20 })
  await consumer.run(async (batch, control) => {
    for (const { partition, offset } of batch.records) say(`got ${partition} ${offset}`)
    while (isHolding) await sleep(5)
    await commit(batch, control)
  })
}

async function commit({ records, partition }: Batch, control: BatchControl): Promise<void> {
  const next = (records.at(-1)?.offset ?? 0) + 1
  try {
    await control.commit(next)
    say(`committed ${partition} ${next}`)
  } catch (thrown) {
    say(`refused ${thrown instanceof PlateauError ? thrown.code : 'unknown'}`)
  }
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}
