import { setTimeout as sleep } from 'node:timers/promises'
import { PlateauError, type TopicSpec } from '@plateau/contracts'
import { expect, test } from 'vitest'
import type { Batch, Consumer, EventLog, Lease, LogRecord, NewRecord } from '../event-log.js'
import { type Program, startProgram } from './start-program.js'

export interface OpenedLog {
  readonly log: EventLog
  /** The same log once more, as another process would open it. */
  another(): Promise<EventLog>
  /** How a process started by a fact opens the same log: `module` exports `openLog(argument)`. Imported as source. */
  readonly opener: { readonly module: URL; readonly argument: string }
  /** Closes every log opened here and removes what they left. */
  cleanUp(): Promise<void>
}

export interface ContractAdapter {
  open(): Promise<OpenedLog>
  /** For members in these tests; also how long an owner may keep a partition that another is to have. Default 3000. */
  readonly sessionTimeoutMs?: number
  /** How long anything that must happen in the end may take: rebalances, clean-up. Default 30 000. */
  readonly settleMs?: number
}

/** One open log and what a fact needs to talk about it. Topics and groups get names that no other run has used. */
export class World {
  readonly log: EventLog
  readonly another: () => Promise<EventLog>
  readonly sessionTimeoutMs: number
  readonly #opener: OpenedLog['opener']
  readonly #programs: Program[] = []
  readonly #settleMs: number
  #names = 0

  constructor(opened: OpenedLog, adapter: ContractAdapter) {
    this.log = opened.log
    this.another = () => opened.another()
    this.#opener = opened.opener
    this.sessionTimeoutMs = adapter.sessionTimeoutMs ?? 3000
    this.#settleMs = adapter.settleMs ?? 30_000
  }

  name(kind: string): string {
    return `contract.${kind}.${process.pid}-${Date.now()}-${this.#names++}`
  }

  async topic(changes: Partial<TopicSpec> = {}): Promise<string> {
    const spec = topicSpec(this.name('topic'), changes)
    await this.log.ensureTopics([spec])
    return spec.name
  }

  async append(topic: string, records: readonly NewRecord[]): Promise<void> {
    const producer = this.log.producer()
    await producer.send(topic, records)
    await producer.close()
  }

  /** Everything from the earliest record up to now. */
  async readAll(topic: string, log = this.log): Promise<LogRecord[]> {
    const reader = log.reader({ topic, from: 'earliest' })
    const records: LogRecord[] = []
    const reading = (async () => {
      for await (const batch of reader) records.push(...batch.records)
    })()
    await Promise.race([reader.caughtUp, reading])
    await reader.close()
    await reading
    return records
  }

  /** Starts a member that collects what it is handed. */
  member(log: EventLog, group: string, topic: string, handle?: Parameters<Consumer['run']>[0]): Member {
    const consumer = log.consumer({ group, topics: [topic], sessionTimeoutMs: this.sessionTimeoutMs })
    const records: LogRecord[] = []
    const running = consumer.run(async (batch, control) => {
      records.push(...batch.records)
      await handle?.(batch, control)
    })
    running.catch(() => {})
    return { consumer, records, running }
  }

  lease(log: EventLog, name: string, topic: string, signal?: AbortSignal): Promise<Lease> {
    const options = { name, topics: [topic], sessionTimeoutMs: this.sessionTimeoutMs }
    return log.lease(signal === undefined ? options : { ...options, signal })
  }

  /** A process of its own that takes a lease: see lease-program.ts. */
  leaseProcess(name: string, topic: string): Program {
    const { module, argument } = this.#opener
    const program = new URL('./lease-program.ts', import.meta.url)
    const started = startProgram(program, [module.href, argument, name, topic, this.sessionTimeoutMs])
    this.#programs.push(started)
    return started
  }

  async killPrograms(): Promise<void> {
    await Promise.all(this.#programs.map((program) => program.kill()))
  }

  async until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
    const giveUpAt = performance.now() + this.#settleMs
    while (!(await condition())) {
      if (performance.now() > giveUpAt) throw new Error(`still not so after ${this.#settleMs} ms: ${what}`)
      await sleep(5)
    }
  }
}

export interface Member {
  readonly consumer: Consumer
  readonly records: LogRecord[]
  readonly running: Promise<void>
}

export type Fact = (sentence: string, proof: (world: World) => Promise<void>) => void

export function factsOf(adapter: ContractAdapter): Fact {
  const timeout = 2 * (adapter.settleMs ?? 30_000)
  return (sentence, proof) =>
    // oxlint-disable-next-line vitest/valid-title, vitest/expect-expect -- each fact brings its own
    test(sentence, { timeout }, async () => {
      const opened = await adapter.open()
      const world = new World(opened, adapter)
      try {
        await proof(world)
      } finally {
        await world.killPrograms()
        await opened.cleanUp()
      }
    })
}

export function topicSpec(name: string, changes: Partial<TopicSpec> = {}): TopicSpec {
  const codec = {
    encode: () => {
      throw new TypeError('the contract appends bytes')
    },
    decode: (bytes: Uint8Array) => bytes,
  }
  return {
    name,
    partitions: 3,
    replication: 1,
    minInSyncReplicas: 1,
    cleanup: 'delete',
    retentionMs: -1,
    retentionBytes: -1,
    maxRecordBytes: 1024 * 1024,
    owner: 'contract',
    key: 'anything',
    messageType: 'none',
    schema: { file: 'none.proto', messageIndex: 0 },
    codec,
    ...changes,
  }
}

export function text(key: string, value: string | null, changes: Partial<NewRecord> = {}): NewRecord {
  return { key, value: value === null ? null : Buffer.from(value), headers: {}, ...changes }
}

/** `count` records, spread over `keys` keys, whose values count up per key. */
export function numbered(count: number, keys = 10, from = 0): NewRecord[] {
  return Array.from({ length: count }, (_, i) => text(`key-${(from + i) % keys}`, String(from + i)))
}

export function valueOf(record: Pick<LogRecord, 'value'>): string | null {
  return record.value === null ? null : Buffer.from(record.value).toString()
}

/** For each key the values in the order in which they came. */
export function valuesByKey(records: readonly LogRecord[]): Map<string, (string | null)[]> {
  const byKey = new Map<string, (string | null)[]>()
  for (const record of records) byKey.set(record.key, [...(byKey.get(record.key) ?? []), valueOf(record)])
  return byKey
}

export function nextOffset(batch: Batch): number {
  return (batch.records.at(-1)?.offset ?? -1) + 1
}

export function placeOf({ partition, offset }: LogRecord): string {
  return `${partition}/${offset}`
}

export async function expectCode(promise: Promise<unknown>, code: string): Promise<PlateauError> {
  const thrown: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(thrown).toBeInstanceOf(PlateauError)
  expect((thrown as PlateauError).code).toBe(code)
  return thrown as PlateauError
}
