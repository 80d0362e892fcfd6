import type { AppendedRecord, NewRecord, Producer, ProducerOptions } from '../event-log.js'
import { Admission } from './admission.js'
import { closedError, notLeasedError } from './errors.js'

export interface AdapterProducerParts {
  readonly options: ProducerOptions
  /** For the producer of a lease: the only topics that it may append to. */
  readonly lease?: { readonly name: string; readonly topics: readonly string[] } | undefined
  readonly onClosed?: (() => void) | undefined
}

/** A producer's life and its bound; how records get into the log is the adapter's. */
export abstract class AdapterProducer implements Producer {
  protected readonly admission: Admission
  readonly #parts: AdapterProducerParts
  readonly #sends = new Set<Promise<unknown>>()
  #isClosed = false

  constructor(parts: AdapterProducerParts) {
    this.#parts = parts
    this.admission = new Admission(parts.options)
  }

  /** Begins in the turn of the call: a turn later another send could overtake it. */
  protected abstract append(topic: string, records: readonly NewRecord[]): Promise<AppendedRecord[]>

  get bytesInFlight(): number {
    return this.admission.bytesInFlight
  }

  async send(topic: string, records: readonly NewRecord[]): Promise<AppendedRecord[]> {
    if (this.#isClosed) throw closedError()
    const { lease } = this.#parts
    if (lease !== undefined && !lease.topics.includes(topic)) throw notLeasedError(topic, lease.name)
    const send = this.append(topic, records)
    this.#sends.add(send)
    try {
      return await send
    } finally {
      this.#sends.delete(send)
    }
  }

  async flush(): Promise<void> {
    await Promise.allSettled(this.#sends)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await this.flush()
    this.#parts.onClosed?.()
  }
}
