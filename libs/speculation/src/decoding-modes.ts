import { Mean } from './running-mean.js'

/**
 * Whether responses come faster with proposals or without, as they really came. What a round costs is known by itself
 * (SpeculationController), but not what it costs beside others: a batch of many responses has no room for positions that may
 * be rejected, and turns break it up. So each kind of traffic, at each load, is decoded both ways, mostly the faster one.
 */
export class DecodingModes {
  readonly #records = new Map<string, ModeRecord>()

  /** How the next response should be decoded: with proposals (true) or plainly. */
  speculates(kind: string): boolean {
    const record = this.#record(kind)
    const { plain, speculative } = record
    const turn = ++record.turns
    const known = { plain: plain.weight >= LEAST_SEEN, speculative: speculative.weight >= LEAST_SEEN }
    // Until something was timed there is nothing to compare.
    if (plain.weight + speculative.weight === 0) return true
    if (!known.plain) return turn % FIRST_LOOKS !== 0
    if (!known.speculative) return turn % FIRST_LOOKS === 0
    record.pays = speculative.value < plain.value * (record.pays ? 1 : ON_GAIN)
    return turn % LOOKS === 0 ? !record.pays : record.pays
  }

  /** A response has ended: what a token after the first took, microseconds. */
  observe(kind: string, speculative: boolean, tokenUs: number): void {
    const { plain, speculative: proposed } = this.#record(kind)
    const mean = speculative ? proposed : plain
    mean.observe(mean.weight < LEAST_SEEN ? tokenUs : Math.min(tokenUs, OUTLIER * mean.value), MEMORY)
  }

  /** Another draft proposes: what was seen of the one before it says little. */
  renew(): void {
    for (const { speculative } of this.#records.values()) speculative.weight = Math.min(speculative.weight, RENEWED)
  }

  #record(kind: string): ModeRecord {
    const record = this.#records.get(kind) ?? { plain: new Mean(), speculative: new Mean(), pays: true, turns: 0 }
    this.#records.delete(kind)
    this.#records.set(kind, record)
    if (this.#records.size > MAX_KINDS) this.#records.delete(this.#records.keys().next().value!)
    return record
  }
}

interface ModeRecord {
  readonly plain: Mean
  readonly speculative: Mean
  pays: boolean
  turns: number
}

/** Responses that a mean looks back on. */
const MEMORY = 16
/** Responses of a mode before it is compared, and what is left of that after another draft came. */
const LEAST_SEEN = 3
const RENEWED = 1
/** One response in so many goes to the slower mode, while it is hardly known and afterwards. */
const FIRST_LOOKS = 4
const LOOKS = 20
/** Speculation comes back where it takes less than this share of plain decoding's time. */
const ON_GAIN = 0.98
const OUTLIER = 3
/** Kinds that are kept apart; the one that was asked for longest ago gives way. */
const MAX_KINDS = 256
