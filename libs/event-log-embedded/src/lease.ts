import type { Lease, Producer } from '@plateau/event-log'
import { Pulse } from '@plateau/event-log/adapter'
import type { Database } from './database.js'
import type { LeaseClaim, LeaseStore } from './lease-store.js'
import { fencedError } from './log-errors.js'
import type { Fence } from './topic-store.js'
import type { WakeBoard } from './wake-board.js'

/** How soon those who wait notice that the holder's process is dead. Reads one row and /proc, takes no lock. */
const LOOK_MS = 250
const SLOWEST_HEARTBEAT_MS = 1000
export const LEASES_WAKE = 'leases'

export interface LeaseParts {
  readonly control: Database
  readonly leases: LeaseStore
  readonly wake: WakeBoard
  /** Opens the producer that is refused once the fence is raised above its epoch. */
  readonly producerOf: (fence: Fence, onFenced: () => void) => Producer
  /** In every topic of the lease: from here on, appends of earlier epochs are refused. */
  readonly raiseFences: (fence: Fence) => Promise<void>
  readonly onReleased: (lease: Lease) => void
}

/** Waits for the name, then keeps it alive and raises its fences: only then can its holder rely on being alone. */
export async function takeLease(claim: LeaseClaim, parts: LeaseParts, signal: AbortSignal): Promise<Lease> {
  const lease = new EmbeddedLease(claim, await waitForTurn(claim, parts, signal), parts)
  try {
    await parts.raiseFences({ name: claim.name, epoch: lease.epoch })
    signal.throwIfAborted()
    return lease
  } catch (thrown) {
    await lease.release()
    throw thrown
  }
}

async function waitForTurn(claim: LeaseClaim, { control, leases, wake }: LeaseParts, signal: AbortSignal) {
  const changed = new Pulse()
  const stir = () => changed.fire()
  const unsubscribe = wake.subscribe(LEASES_WAKE, () => false, stir)
  const looking = setInterval(stir, LOOK_MS)
  signal.addEventListener('abort', stir)
  try {
    for (;;) {
      const next = changed.next()
      signal.throwIfAborted()
      const epoch = await control.whenFree(() => leases.take(claim))
      if (epoch !== undefined) return epoch
      await next
    }
  } finally {
    signal.removeEventListener('abort', stir)
    clearInterval(looking)
    unsubscribe()
  }
}

/**
 *   held ──release──▶ released
 *    └─ another has it, or silent for too long ─▶ lost ──release──▶ released
 */
class EmbeddedLease implements Lease {
  readonly epoch: number
  readonly lost: AbortSignal
  readonly producer: Producer
  readonly #claim: LeaseClaim
  readonly #parts: LeaseParts
  readonly #lost = new AbortController()
  readonly #timer: NodeJS.Timeout
  #heardAt = performance.now()
  #heartbeat: Promise<void> | undefined
  #releasing: Promise<void> | undefined

  constructor(claim: LeaseClaim, epoch: number, parts: LeaseParts) {
    this.epoch = epoch
    this.lost = this.#lost.signal
    this.#claim = claim
    this.#parts = parts
    this.producer = parts.producerOf({ name: claim.name, epoch }, () => this.#lose())
    const heartbeatMs = Math.min(SLOWEST_HEARTBEAT_MS, claim.sessionTimeoutMs / 5)
    this.#timer = setInterval(() => {
      this.#heartbeat ??= this.#keep().finally(() => (this.#heartbeat = undefined))
    }, heartbeatMs)
  }

  release(): Promise<void> {
    this.#releasing ??= this.#release()
    return this.#releasing
  }

  async #keep(): Promise<void> {
    const { control, leases } = this.#parts
    try {
      if (await control.whenFree(() => leases.keep(this.#claim))) this.#heardAt = performance.now()
      else this.#lose()
    } catch {
      // A full disk or a long lock: the next heartbeat tries again, for as long as nobody else may have the lease.
      if (performance.now() - this.#heardAt > this.#claim.sessionTimeoutMs) this.#lose()
    }
  }

  #lose(): void {
    clearInterval(this.#timer)
    if (!this.lost.aborted) this.#lost.abort(fencedError({ name: this.#claim.name, epoch: this.epoch }))
  }

  /** The heartbeat goes on until the last send is durable. */
  async #release(): Promise<void> {
    const { control, leases, wake } = this.#parts
    await this.producer.close()
    clearInterval(this.#timer)
    await this.#heartbeat
    try {
      await control.whenFree(() => leases.release(this.#claim))
      wake.announce(LEASES_WAKE)
    } finally {
      this.#parts.onReleased(this)
    }
  }
}
