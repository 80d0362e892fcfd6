import { setTimeout as sleep } from 'node:timers/promises'
import type { Batch, BatchControl, EventLog } from '@plateau/event-log'
import { partitionOf } from '@plateau/event-log'

/** Numbered records, sent one by one to a topic until told to stop; each is sent until it is acknowledged. */
export class SteadyLoad {
  readonly #log: EventLog
  readonly #topic: string
  readonly #running: Promise<void>
  #isStopped = false
  #acknowledged = 0

  constructor(log: EventLog, topic: string) {
    this.#log = log
    this.#topic = topic
    this.#running = this.#run()
  }

  get acknowledged(): number {
    return this.#acknowledged
  }

  /** How many there are in all. */
  async stop(): Promise<number> {
    this.#isStopped = true
    await this.#running
    return this.#acknowledged
  }

  async #run(): Promise<void> {
    const producer = this.#log.producer()
    while (!this.#isStopped) {
      const value = String(this.#acknowledged)
      await producer.send(this.#topic, [{ key: value, value: Buffer.from(value), headers: {} }])
      this.#acknowledged++
      await sleep(2)
    }
    await producer.close()
  }
}

/** What a consumer was handed and what it could commit, watched for what must never happen. */
export class Handed {
  readonly values = new Set<string>()
  /** Handed over although it had been committed before, or behind something later of the same partition's lane. */
  readonly again: string[] = []
  #committed = new Map<number, number>()

  readonly handler = async ({ partition, records }: Batch, control: BatchControl): Promise<void> => {
    for (const { offset, value } of records) {
      if (offset < (this.#committed.get(partition) ?? 0)) this.again.push(`${partition}/${offset}`)
      this.values.add(Buffer.from(value ?? []).toString())
    }
    const next = (records.at(-1)?.offset ?? 0) + 1
    await control.commit(next)
    this.#committed.set(partition, next)
  }
}

export function keysFor(partition: number, partitions: number, count: number): string[] {
  const keys: string[] = []
  for (let i = 0; keys.length < count; i++) if (partitionOf(String(i), partitions) === partition) keys.push(String(i))
  return keys
}
