import { Mean } from './running-mean.js'

/** How a response is decoded, and whether its time says something about that. */
export interface DecodingMode {
  /** With proposals; otherwise plainly. */
  readonly speculates: boolean
  readonly counts: boolean
}

/**
 * Whether responses come faster with proposals or without, as they really came. What a round costs is known by itself
 * (SpeculationController), but not what it costs beside others: a batch of many responses has no room for positions that may
 * be rejected, and who decodes plainly in it waits for them too. So the two ways are not mixed: at each load the responses of
 * a block all go one way, mostly the faster one, and the first of a block, which meet those of the block before, do not count.
 */
export class DecodingModes {
  readonly #loads = new Map<number, Load>()

  /** Of the next response. `running`: responses that are decoded at once, this one among them. */
  next(running: number): DecodingMode {
    const load = this.#load(running)
    if (load.left === 0) load.begin(running)
    load.left--
    return { speculates: load.speculates, counts: load.left < load.length - running }
  }

  /** A response that counts has ended; it began at this load. `tokenUs`: what a token after the first took. */
  observe(running: number, { speculates }: DecodingMode, tokenUs: number): void {
    const load = this.#load(running)
    const mean = speculates ? load.speculative : load.plain
    mean.observe(mean.weight < LEAST_SEEN ? tokenUs : Math.min(tokenUs, OUTLIER * mean.value), MEMORY)
  }

  /** Another draft proposes: what was seen of the one before it says little. */
  renew(): void {
    for (const { speculative } of this.#loads.values()) speculative.weight = Math.min(speculative.weight, RENEWED)
  }

  /** Loads are told apart by powers of two. */
  #load(running: number): Load {
    const power = Math.floor(Math.log2(Math.max(1, running)))
    const load = this.#loads.get(power) ?? new Load()
    this.#loads.set(power, load)
    return load
  }
}

class Load {
  readonly plain = new Mean()
  readonly speculative = new Mean()
  speculates = true
  /** Of the present block: responses in all, and those that are still to come. */
  length = 0
  left = 0
  #pays = true
  #blocks = 0

  begin(running: number): void {
    this.length = this.left = Math.max(LEAST_BLOCK, BLOCK_PER_RUNNING * running)
    this.#blocks++
    this.speculates = this.#next()
  }

  #next(): boolean {
    const { plain, speculative } = this
    // Until something was timed there is nothing to compare.
    if (plain.weight + speculative.weight === 0) return true
    if (plain.weight < LEAST_SEEN) return false
    if (speculative.weight < LEAST_SEEN) return true
    this.#pays = speculative.value < plain.value * (this.#pays ? 1 : ON_GAIN)
    return this.#blocks % LOOKS === 0 ? !this.#pays : this.#pays
  }
}

/** Responses of a block: so many for each that runs at once, and at least so many. */
const BLOCK_PER_RUNNING = 3
const LEAST_BLOCK = 4
/** One block in so many goes the slower way. */
const LOOKS = 20
/** Responses that a mean looks back on. */
const MEMORY = 24
/** Responses of a way before it is compared, and what is left of that after another draft came. */
const LEAST_SEEN = 3
const RENEWED = 1
/** Speculation comes back where it takes less than this share of plain decoding's time. */
const ON_GAIN = 0.98
const OUTLIER = 3
