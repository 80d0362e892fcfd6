import { Mean } from './running-mean.js'
import { RecentlyUsed } from './recently-used.js'

/** How a response is decoded. */
export interface DecodingMode {
  /** With proposals; otherwise plainly. */
  readonly speculates: boolean
  /** To be told what a token after the first took, in microseconds; undefined: it says nothing. */
  readonly ended?: (tokenUs: number) => void
}

/**
 * Whether responses come faster with proposals or without, as they really came. What a round costs is known by itself
 * (SpeculationController), but not what it costs beside others: a batch of many responses has no room for positions that may
 * be rejected, and who decodes plainly in it waits for them too: beside proposals the plain way looks slow, beside plain
 * responses the other one fast. So the two ways are not mixed: the responses of a block all go one way, mostly the one that
 * was faster at this load, and those that meet responses of a block that goes the other way do not count. Who is alone
 * disturbs nobody: then each kind of traffic has its own way.
 */
export class DecodingModes {
  readonly #loads = new Map<number, ModeTimes>()
  readonly #alone = new RecentlyUsed<ModeTimes>(MAX_KINDS)
  /** Responses at once, as a power of two: what it was lately, so that a gap between two rushes is no load of its own. */
  #power = 0
  #shared: { readonly power: number; readonly times: ModeTimes } | undefined

  /** Of the next response. `running`: responses that are decoded at once, this one among them. */
  next(running: number, kind = ''): DecodingMode {
    const power = Math.log2(Math.max(1, running))
    this.#power += (power - this.#power) * (power > this.#power ? RISE : FALL)
    const load = Math.round(this.#power)
    return this.#times(load, kind).next(2 ** load)
  }

  /** Another draft proposes: what was seen of the one before it says little. */
  renew(): void {
    for (const times of [...this.#loads.values(), ...this.#alone.values()]) times.renew()
  }

  /** A block that has begun is finished at the loads around its own. */
  #times(power: number, kind: string): ModeTimes {
    if (power === 0) {
      this.#shared = undefined
      return this.#alone.of(kind, () => new ModeTimes(true))
    }
    const shared = this.#shared
    if (shared !== undefined && !shared.times.isOver && Math.abs(shared.power - power) < 2) return shared.times
    // A load that was never seen begins as the one beside it goes.
    const times = this.#loads.get(power) ?? new ModeTimes(shared?.times.speculates ?? true)
    this.#loads.set(power, times)
    if (shared?.times !== times) times.end()
    this.#shared = { power, times }
    return times
  }
}

/** Responses in a row that go one way. */
class Block {
  /** What a token took, of the responses that count. */
  readonly seen = new Mean()
  left: number

  constructor(
    readonly speculates: boolean,
    private readonly length: number,
    /** Its first and its last responses that meet those of a block that goes the other way. */
    private readonly mixed: { readonly first: number; readonly last: number },
  ) {
    this.left = length
  }

  next(times: ModeTimes): DecodingMode {
    this.left--
    const counts = this.left < this.length - this.mixed.first && this.left >= this.mixed.last
    return { speculates: this.speculates, ...(counts ? { ended: (tokenUs) => times.observe(this, tokenUs) } : {}) }
  }
}

/**
 * The two ways of one load, or of one kind of traffic, in blocks. Times of long ago are those of other texts and of another
 * moment of the machine; so a block now and then goes the other way, and is compared with those around it.
 */
class ModeTimes {
  #speculates: boolean
  /** Natural logarithm of the time with proposals over the time without, by looks. */
  readonly #loss = new Mean()
  #block: Block | undefined
  #look: Block | undefined
  /** Of the way that most blocks go: what a token took lately, and when the last look was judged. */
  readonly #recent = new Mean()
  #atLook = 0
  #sinceLook = 0
  #looks = 0
  #isRenewed = false

  constructor(speculates: boolean) {
    this.#speculates = speculates
  }

  /** Most blocks. */
  get speculates(): boolean {
    return this.#speculates
  }

  get isOver(): boolean {
    return this.#block === undefined || this.#block.left === 0
  }

  /** The block was broken off. */
  end(): void {
    this.#block = undefined
  }

  next(running: number): DecodingMode {
    if (this.#block === undefined || this.#block.left === 0) this.#block = this.#begin(running)
    return this.#block.next(this)
  }

  observe(block: Block, tokenUs: number): void {
    block.seen.observe(limited(tokenUs, block.seen), Infinity)
    if (block.speculates === this.#speculates) this.#recent.observe(limited(tokenUs, this.#recent), MEMORY)
  }

  renew(): void {
    this.#isRenewed = true
  }

  #begin(running: number): Block {
    const beside = running - 1
    const length = 2 * beside + Math.ceil(Math.max(LEAST_COUNTED, COUNTED_PER_RUNNING * running))
    if (this.#look !== undefined && this.#sinceLook >= (beside === 0 ? 1 : BLOCKS_AFTER)) this.#judge(this.#look)
    this.#sinceLook++
    const isLook = this.#recent.weight >= LEAST_SEEN && this.#look === undefined && this.#sinceLook >= this.#interval()
    const speculates = isLook ? !this.#speculates : this.#speculates
    // Which responses count is known when they begin: of those that end before the next block, the slow ones would be missing.
    const first = speculates === this.#block?.speculates ? 0 : beside
    const block = new Block(speculates, length, { first, last: isLook ? beside : 0 })
    if (isLook) {
      this.#look = block
      this.#sinceLook = 0
    }
    return block
  }

  #judge({ speculates, seen }: Block): void {
    this.#look = undefined
    if (seen.weight < LEAST_SEEN) return
    const loss = Math.log(seen.value / this.#recent.value) * (speculates ? 1 : -1)
    if (this.#isRenewed || Math.abs(loss - this.#loss.value) > SURPRISE) {
      this.#loss.weight = Math.min(this.#loss.weight, 1)
      this.#looks = Math.min(this.#looks, 1)
      this.#isRenewed = false
    }
    this.#loss.observe(loss, LOOK_MEMORY)
    this.#looks++
    if (this.#loss.value > 0 === this.#speculates) {
      this.#speculates = !this.#speculates
      this.#recent.value = seen.value
      this.#recent.weight = Math.min(seen.weight, MEMORY)
    }
    this.#atLook = this.#recent.value
  }

  /** Blocks from one look to the next: few until it is clear which way is faster, then so many that looks cost their budget. */
  #interval(): number {
    if (this.#looks === 0) return FIRST_BLOCKS
    const loss = Math.abs(this.#loss.value)
    const affordable = Math.min(MOST_BLOCKS, Math.max(UNCLEAR_BLOCKS, loss / LOOK_BUDGET))
    const isClear = loss * Math.sqrt(this.#looks) > CLEAR
    const hasMoved = this.#atLook > 0 && Math.abs(Math.log(this.#recent.value / this.#atLook)) > SURPRISE
    return isClear && !hasMoved && !this.#isRenewed ? affordable : Math.max(UNCLEAR_BLOCKS, affordable / SOONER)
  }
}

/** A pause counts as so many times what is usual. */
function limited(tokenUs: number, { weight, value }: Mean): number {
  return weight < LEAST_SEEN ? tokenUs : Math.min(tokenUs, OUTLIER * value)
}

/** How much the newest response says of the load: the beginning of a rush more than its end, or the pause before the next. */
const RISE = 1 / 4
const FALL = 1 / 32
/** Kinds of traffic that are told apart. */
const MAX_KINDS = 64
/** Responses of a block that count: so many for each that runs at once, and at least so many. */
const COUNTED_PER_RUNNING = 0.75
const LEAST_COUNTED = 4
/** Share of the time that looks may cost. */
const LOOK_BUDGET = 0.01
/** Blocks from one look to the next: before the first one, while it is not clear which way is faster, and at the most. */
const FIRST_BLOCKS = 2
const UNCLEAR_BLOCKS = 4
const MOST_BLOCKS = 48
/** Blocks after a look before it is judged, so that it is compared with what came before and after, its stragglers gone; who is alone has none. */
const BLOCKS_AFTER = 2
/** Twice what the logarithm of two times is off in one look. */
const CLEAR = 0.3
/** Responses, and looks, that means look back on. */
const MEMORY = 12
const LOOK_MEMORY = 8
/** Responses of a way before it is compared. */
const LEAST_SEEN = 3
/** Logarithm of times: what changes by more is looked at again, that much sooner, as another draft is. */
const SURPRISE = 0.35
const SOONER = 3
const OUTLIER = 3
