/**
 * A process of its own that takes a lease and writes through it, for facts about holders that die or fall silent.
 *
 *   lease-program.ts OPENER ARGUMENT NAME TOPIC SESSION_TIMEOUT_MS
 *
 * Says "holds EPOCH", and "lost". Told "send VALUE", it sends one record and says "sent VALUE" or "refused CODE VALUE".
 */
import { createInterface } from 'node:readline'
import { PlateauError } from '@plateau/contracts'
import type { EventLog } from '../event-log.js'

const [opener = '', argument = '', name = '', topic = '', sessionTimeoutMs = ''] = process.argv.slice(2)
const { openLog } = (await import(opener)) as { openLog: (argument: string) => EventLog | Promise<EventLog> }
const log = await openLog(argument)
const lease = await log.lease({ name, topics: [topic], sessionTimeoutMs: Number(sessionTimeoutMs) })
lease.lost.addEventListener('abort', () => say('lost'))
say(`holds ${lease.epoch}`)

for await (const line of createInterface({ input: process.stdin })) {
  const value = line.replace('send ', '')
  try {
    await lease.producer.send(topic, [{ key: 'key', value: Buffer.from(value), headers: {} }])
    say(`sent ${value}`)
  } catch (thrown) {
    say(`refused ${thrown instanceof PlateauError ? thrown.code : 'unknown'} ${value}`)
  }
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}
