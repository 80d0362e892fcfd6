import type { Lease, Producer } from '@plateau/event-log'
import type { TransactionalSender } from './transactional-sender.js'

/** How long what was sent before `release` may still take. */
const CLOSING_PATIENCE_MS = 10_000

export interface HeldLeaseParts {
  readonly producer: Producer
  readonly sender: TransactionalSender
  /** Aborted when the sender is lost. */
  readonly lost: AbortSignal
  readonly leave: () => Promise<void>
}

/**
 *   held ──release──▶ released
 *    └─ refused by the broker, or given up by the group ─▶ lost (has left already) ──release──▶ released
 */
export class HeldLease implements Lease {
  readonly name: string
  readonly epoch: number
  readonly lost: AbortSignal
  readonly producer: Producer
  readonly #parts: HeldLeaseParts
  #releasing: Promise<void> | undefined

  constructor(name: string, epoch: number, parts: HeldLeaseParts) {
    this.name = name
    this.epoch = epoch
    this.#parts = parts
    this.producer = parts.producer
    this.lost = parts.lost
    // Whoever waits shall not wait for one that can do nothing with its turn.
    this.lost.addEventListener('abort', () => void parts.leave().catch(() => {}), { once: true })
  }

  /** The group may have given the turn to another. Of no concern to who lets go. */
  lose(): void {
    if (this.#releasing === undefined) this.#parts.sender.lose(undefined)
  }

  release(): Promise<void> {
    this.#releasing ??= this.#release()
    return this.#releasing
  }

  async #release(): Promise<void> {
    const { producer, sender, leave } = this.#parts
    sender.hurry(CLOSING_PATIENCE_MS)
    await producer.close()
    sender.close()
    await leave()
  }
}
