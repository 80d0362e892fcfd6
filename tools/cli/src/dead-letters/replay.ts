import { messageOf, PlateauError } from '@plateau/contracts'
import { readUpToNow, type Batch, type EventLog, type PartitionRange, type Producer } from '@plateau/event-log'
import { readDeadLetter, recordToReplay, type DeadLetter } from './dead-letter.js'
import type { DeadLetterTopic } from './dead-letter-topics.js'
import { ReplayMarks } from './replay-marks.js'

export type ReplaySelection =
  | { readonly kind: 'all'; readonly errorClass: string | undefined }
  | { readonly kind: 'one'; readonly partition: number; readonly offset: number }

export interface ReplayOptions {
  readonly isDryRun: boolean
  /** Also those that were replayed before. */
  readonly again: boolean
  readonly now: () => number
  readonly signal: AbortSignal
  /** Told after each batch. */
  readonly onProgress?: (result: ReplayResult) => void
}

export interface ReplayResult {
  replayed: number
  alreadyReplayed: number
  /** What was sent, or would be in a dry run, by error class. */
  readonly byClass: Map<string, number>
  readonly failed: { readonly partition: number; readonly offset: number; readonly why: string }[]
}

/**
 * Sends dead letters back to the topic they came from, in the order of their dead letter partition. The mark moves after
 * the records are durable: a crash in between sends at most one batch again, under the same ce_ids. A letter that
 * cannot be sent for a reason of its own is named and passed over; when the log cannot take any, this throws and the
 * next run goes on from there.
 */
export async function replay(
  log: EventLog,
  topic: DeadLetterTopic,
  held: readonly PartitionRange[],
  selection: ReplaySelection,
  options: ReplayOptions,
): Promise<ReplayResult> {
  const run = new Replay(log, topic, held, selection, options)
  try {
    const reader = log.reader({ topic: topic.name, from: await run.start() })
    for await (const batch of readUpToNow(reader, options.signal)) {
      await run.take(batch)
      options.onProgress?.(run.result)
      if (run.isDone) break
    }
    return run.result
  } finally {
    await run.close()
  }
}

class Replay {
  readonly result: ReplayResult = { replayed: 0, alreadyReplayed: 0, byClass: new Map(), failed: [] }
  isDone = false
  readonly #topic: DeadLetterTopic
  readonly #held: readonly PartitionRange[]
  readonly #selection: ReplaySelection
  readonly #options: ReplayOptions
  readonly #marks: ReplayMarks
  readonly #producer: Producer

  constructor(
    log: EventLog,
    topic: DeadLetterTopic,
    held: readonly PartitionRange[],
    selection: ReplaySelection,
    options: ReplayOptions,
  ) {
    this.#topic = topic
    this.#held = held
    this.#selection = selection
    this.#options = options
    this.#marks = new ReplayMarks(log, topic.name)
    this.#producer = log.producer()
  }

  /** Past what the marks say is done, so that a long topic is not read for nothing; the letter alone for one letter. */
  async start(): Promise<{ partition: number; offset: number }[]> {
    const selection = this.#selection
    return Promise.all(
      this.#held.map(async ({ partition, earliest, next }) => {
        if (selection.kind === 'one') {
          return { partition, offset: partition === selection.partition ? selection.offset : next }
        }
        if (this.#options.again) return { partition, offset: earliest }
        const marks = [await this.#marks.next(undefined, partition)]
        if (selection.errorClass !== undefined) marks.push(await this.#marks.next(selection.errorClass, partition))
        return { partition, offset: Math.max(earliest, ...marks) }
      }),
    )
  }

  async take(batch: Batch): Promise<void> {
    const chosen: DeadLetter[] = []
    for (const record of batch.records) {
      const letter = readDeadLetter(record)
      if (!this.#isMeant(letter)) continue
      if (!this.#options.again && (await this.#isReplayed(letter))) this.result.alreadyReplayed++
      else chosen.push(letter)
    }
    if (this.#options.isDryRun) for (const letter of chosen) this.#check(letter)
    else await this.#send(chosen, batch)
  }

  close(): Promise<void> {
    return this.#producer.close()
  }

  #isMeant({ record, errorClass }: DeadLetter): boolean {
    const selection = this.#selection
    if (selection.kind === 'all') return selection.errorClass === undefined || selection.errorClass === errorClass
    if (record.partition !== selection.partition) return false
    this.isDone ||= record.offset >= selection.offset
    return record.offset === selection.offset
  }

  #isReplayed({ record, errorClass }: DeadLetter): Promise<boolean> {
    return this.#marks.isReplayed(errorClass, record.partition, record.offset)
  }

  async #send(letters: readonly DeadLetter[], batch: Batch): Promise<void> {
    // Sent one by one, so that one that is refused does not hold up the others, and all at once; a partition keeps order.
    const sends = letters.map(async (letter) => {
      const record = recordToReplay(letter, this.#topic, this.#options.now())
      await this.#producer.send(this.#topic.source.name, [record])
    })
    const outcomes = await Promise.allSettled(sends)
    for (const [i, outcome] of outcomes.entries()) {
      const letter = letters[i]!
      if (outcome.status === 'fulfilled') this.#count(letter)
      else if (isOwnFault(outcome.reason)) this.#fail(letter, outcome.reason)
      else {
        await this.#mark(batch.partition, letter.record.offset)
        throw outcome.reason
      }
    }
    if (this.#selection.kind === 'all' || letters.length > 0) {
      await this.#mark(batch.partition, batch.records.at(-1)!.offset + 1)
    }
  }

  async #mark(partition: number, nextOffset: number): Promise<void> {
    if (this.#selection.kind === 'all') return this.#marks.advance(this.#selection.errorClass, partition, nextOffset)
    // A letter picked out of the middle leaves the ones before it to be replayed; only the next in line moves the mark.
    const { offset } = this.#selection
    const earliest = this.#held.find((range) => range.partition === partition)?.earliest ?? 0
    const next = Math.max(earliest, await this.#marks.next(undefined, partition))
    if (offset === next && offset < nextOffset) await this.#marks.advance(undefined, partition, offset + 1)
  }

  #check(letter: DeadLetter): void {
    try {
      recordToReplay(letter, this.#topic, this.#options.now())
      this.#count(letter)
    } catch (error) {
      this.#fail(letter, error)
    }
  }

  #count({ errorClass }: DeadLetter): void {
    this.result.replayed++
    this.result.byClass.set(errorClass, (this.result.byClass.get(errorClass) ?? 0) + 1)
  }

  #fail({ record: { partition, offset } }: DeadLetter, reason: unknown): void {
    this.result.failed.push({ partition, offset, why: messageOf(reason) })
  }
}

/** The letter's, not the log's: another letter may well be taken. */
function isOwnFault(reason: unknown): boolean {
  return reason instanceof PlateauError && ['REPLAY_REFUSED', 'RECORD_TOO_LARGE'].includes(reason.code)
}
