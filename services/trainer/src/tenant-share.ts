export interface TenantShareOptions {
  /** Most of what is learned from that one tenant may bring beside others; of n tenants it is at least 1 / n. 1 = no bound. */
  readonly share: number
  /** Positions that a tenant may bring in FILL_MS whatever the others do, and at once after a pause. */
  readonly floorPositions: number
}

/** A bucket is full again after it; a tenant that brings nothing for so long is not there, and bounds nobody. */
const FILL_MS = 600_000
/** Tenants that are told apart; the one that came longest ago is forgotten first. */
const MAX_TENANTS = 4096

interface Bucket {
  /** Positions that it may bring now. */
  level: number
  taken: number
  /** Positions taken from others when it was last seen, */
  others: number
  /** which was then. */
  seenMs: number
}

/**
 * Bounds what one tenant can do to a draft that all share. Each has a bucket of floorPositions, which fills in ten minutes,
 * and by share / (1 - share) of every position that is taken from others. So over any time beside others
 *
 *   taken from it <= floor * (1 + minutes / 10) + share / (1 - share) * taken from others
 *
 * It holds for all that is learned from: what is trained on, compared on and calibrated on. A name is worth what the keys
 * file makes it: who may call itself anything has as many buckets. A new process begins with full ones.
 */
export class TenantShare {
  readonly #options: TenantShareOptions
  /** Of who is there, in the order in which they were last seen. */
  readonly #buckets = new Map<string, Bucket>()
  #taken = 0

  constructor(options: TenantShareOptions) {
    this.#options = options
  }

  /** Whether so many positions of the tenant may be learned from now; they then count. */
  take(tenant: string, positions: number, nowMs: number): boolean {
    if (this.#options.share >= 1) return true
    const bucket = this.#seen(tenant, nowMs)
    if (this.#buckets.size > 1) {
      if (bucket.level < positions) return false
      bucket.level -= positions
    }
    bucket.taken += positions
    this.#taken += positions
    return true
  }

  /** Tenants that are there. */
  get size(): number {
    return this.#buckets.size
  }

  #seen(tenant: string, nowMs: number): Bucket {
    const { floorPositions } = this.#options
    const found = this.#buckets.get(tenant)
    const bucket = found ?? { level: floorPositions, taken: 0, others: this.#taken, seenMs: nowMs }
    this.#buckets.delete(tenant)
    this.#leave(nowMs)
    this.#buckets.set(tenant, bucket)
    const others = this.#taken - bucket.taken
    const byTime = (floorPositions * Math.max(0, nowMs - bucket.seenMs)) / FILL_MS
    const filled = bucket.level + byTime + this.#ratio() * (others - bucket.others)
    bucket.level = Math.min(floorPositions, filled)
    bucket.others = others
    bucket.seenMs = nowMs
    return bucket
  }

  #leave(nowMs: number): void {
    for (const [tenant, { seenMs }] of this.#buckets) {
      if (nowMs - seenMs < FILL_MS && this.#buckets.size < MAX_TENANTS) return
      this.#buckets.delete(tenant)
    }
  }

  /** What one may bring for a position of the others. */
  #ratio(): number {
    const share = Math.max(this.#options.share, 1 / this.#buckets.size)
    return share < 1 ? share / (1 - share) : 0
  }
}
