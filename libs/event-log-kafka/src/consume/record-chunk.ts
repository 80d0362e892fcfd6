import { messageOf, PlateauError } from '@plateau/contracts'
import type { LogRecord } from '@plateau/event-log'
import type { AbortedTransaction, FetchedPartition } from './fetch-response.js'
import { type BatchHeader, isAbortMark, readBatchHeader, readRecords, type RecordSource } from './record-batch.js'

/**
 * What one fetch brought of a partition, handed out bit by bit. Batches are decoded when their turn comes, so that no
 * more than one of them is inflated at a time. Skips what belongs to transactions that were given up, their marks, and
 * batches that compaction emptied: the position advances over all of them.
 */
export class RecordChunk implements RecordSource {
  readonly topic: string
  readonly partition: number
  readonly decodeValue: RecordSource['decodeValue']
  readonly start: number
  /** Where the next fetch has to begin: whole batches end here. */
  readonly end: number
  readonly #bytes: Buffer
  /** By first offset; those that have begun move to `#abandoned` until their mark comes. */
  readonly #aborted: AbortedTransaction[]
  readonly #abandoned = new Set<bigint>()
  #at = 0
  #position: number
  /** Records of the batch in hand, and how many of them are out. */
  #records: readonly LogRecord[] = []
  #taken = 0
  /** The batch in hand reaches up to here. */
  #batchEnd: number

  constructor(fetched: FetchedPartition, fetchOffset: number, decodeValue: RecordSource['decodeValue']) {
    this.topic = fetched.topic
    this.partition = fetched.partition
    this.decodeValue = decodeValue
    this.start = fetchOffset
    this.end = endOfBatches(fetched.records, fetchOffset)
    this.#bytes = fetched.records
    this.#aborted = fetched.aborted.toSorted((a, b) => a.firstOffset - b.firstOffset)
    this.#position = fetchOffset
    this.#batchEnd = fetchOffset
  }

  /** Everything before it has been taken or skipped. */
  get position(): number {
    return this.#position
  }

  /** False when it holds no whole batch, or everything is out. What cannot be read is something to take: it throws. */
  get hasMore(): boolean {
    return this.#position < this.end
  }

  /** At most `maxRecords`, at most about `maxBytes` unless one alone has more; none: the chunk is used up. */
  async take(maxRecords: number, maxBytes: number): Promise<LogRecord[]> {
    const taken: LogRecord[] = []
    let bytes = 0
    while (taken.length < maxRecords && bytes < maxBytes) {
      const record = this.#records[this.#taken]
      if (record === undefined) {
        if (!(await this.#nextBatch())) break
        continue
      }
      taken.push(record)
      bytes += record.key.length + (record.value?.length ?? 0)
      this.#taken++
      this.#position = record.offset + 1
    }
    await this.#skipToRecords()
    return taken
  }

  /** A mark behind the last record belongs to what was taken: without it the lag of an idle topic would not go to 0. */
  async #skipToRecords(): Promise<void> {
    while (this.#taken >= this.#records.length) {
      this.#position = Math.max(this.#position, this.#batchEnd)
      const header = this.#header()
      if (header === undefined || !this.#isSkipped(header)) return
      this.#pass(header)
    }
  }

  async #nextBatch(): Promise<boolean> {
    this.#position = Math.max(this.#position, this.#batchEnd)
    const header = this.#header()
    if (header === undefined) return false
    const skipped = this.#isSkipped(header)
    const at = this.#at
    this.#pass(header)
    if (!skipped) this.#records = await this.#read(at, header)
    return true
  }

  #pass(header: BatchHeader): void {
    this.#records = []
    this.#taken = 0
    this.#at += header.bytes
    this.#batchEnd = Math.max(this.#batchEnd, header.lastOffset + 1)
  }

  /** Asked once more for the same batch it says the same. */
  #isSkipped(header: BatchHeader): boolean {
    for (
      let next = this.#aborted[0];
      next !== undefined && next.firstOffset <= header.lastOffset;
      next = this.#aborted[0]
    ) {
      this.#abandoned.add(next.producerId)
      this.#aborted.shift()
    }
    if (header.isControl) {
      if (isAbortMark(this.#bytes, this.#at)) this.#abandoned.delete(header.producerId)
      return true
    }
    if (header.lastOffset < this.#position || header.recordCount === 0) return true
    return header.isTransactional && this.#abandoned.has(header.producerId)
  }

  #header(): BatchHeader | undefined {
    try {
      return readBatchHeader(this.#bytes, this.#at)
    } catch (thrown) {
      throw this.#unreadable(this.#batchEnd, thrown)
    }
  }

  async #read(at: number, header: BatchHeader): Promise<readonly LogRecord[]> {
    try {
      return await readRecords(this.#bytes, at, header, this.#position, this)
    } catch (thrown) {
      throw this.#unreadable(Math.max(header.baseOffset, this.#position), thrown)
    }
  }

  #unreadable(offset: number, cause: unknown): PlateauError {
    const { topic, partition } = this
    return new PlateauError(
      'BAD_BATCH',
      `The batch at offset ${offset} of partition ${partition} of topic ${topic} cannot be read: ${messageOf(cause)}`,
      { facts: { topic, partition, offset, reason: messageOf(cause) }, cause },
    )
  }
}

/** Does not decode anything. */
function endOfBatches(records: Buffer, fetchOffset: number): number {
  let end = fetchOffset
  try {
    let at = 0
    for (let header = readBatchHeader(records, at); header !== undefined; header = readBatchHeader(records, at)) {
      end = Math.max(end, header.lastOffset + 1)
      at += header.bytes
    }
    return end
  } catch {
    return end + 1
  }
}
