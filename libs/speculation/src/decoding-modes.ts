import { Mean } from './running-mean.js'
import { RecentlyUsed } from './recently-used.js'

/** How one response is decoded, and what it says of that. Times in microseconds. */
export interface DecodingMode {
  /** With proposals; otherwise plainly. */
  readonly speculates: boolean
  /** It goes a way of its own, for other reasons than speed: it says nothing. Before it waits. */
  goesApart(): void
  /** From here on the target has the turn. */
  waits(nowUs: number): void
  /** Tokens came, and its client has the turn. */
  emitted(tokens: number, nowUs: number): void
  /** Idempotent. */
  ended(nowUs: number): void
}

/**
 * Whether responses come faster with proposals or without, as they really came. What a round costs is known by itself
 * (SpeculationController), but not what it costs beside others: a batch of many responses has no room for positions that may
 * be rejected, and who decodes plainly in it waits for them too: beside proposals the plain way looks slow, beside plain
 * responses the other one fast. So the two ways are not mixed: the responses of a block all go one way, mostly the one that
 * was faster at this load, and time counts while hardly one goes the other way. Who is alone disturbs nobody: then each kind
 * of traffic has its own way.
 *
 * What is compared is the time that responses waited over the tokens that they got meanwhile, of all responses together. One
 * response's own time says little of the way it went: what it gains by a lucky proposal the ones beside it wait.
 */
export class DecodingModes {
  readonly #loads = new Map<number, ModeTimes>()
  readonly #alone = new RecentlyUsed<ModeTimes>(MAX_KINDS)
  readonly #batch: Batch
  readonly #running: () => number
  /** Responses at once, as a power of two: what it was lately, so that a gap between two rushes is no load of its own. */
  #power = 0
  #shared: { readonly power: number; readonly times: ModeTimes } | undefined

  /** `running`: responses that are decoded at this moment, whether they have a choice or not. */
  constructor(running: () => number) {
    this.#running = running
    this.#batch = new Batch(running)
  }

  /** Of the next response, which is running already. */
  next(kind = ''): DecodingMode {
    const power = Math.log2(Math.max(1, this.#running()))
    this.#power += (power - this.#power) * (power > this.#power ? RISE : FALL)
    const load = Math.round(this.#power)
    return new BatchedResponse(this.#batch, this.#times(load, kind).next(2 ** load))
  }

  /** Another draft proposes: what was seen of the one before it says little. */
  renew(): void {
    for (const times of [...this.#loads.values(), ...this.#alone.values()]) times.renew()
  }

  /** A block that has begun is finished at the loads around its own. */
  #times(power: number, kind: string): ModeTimes {
    if (power === 0) {
      this.#shared = undefined
      return this.#alone.of(kind, () => new ModeTimes())
    }
    const shared = this.#shared
    if (shared !== undefined && !shared.times.isOver && Math.abs(shared.power - power) < 2) return shared.times
    const times = this.#loads.get(power) ?? new ModeTimes()
    this.#loads.set(power, times)
    if (shared?.times !== times) times.begin(shared?.times)
    this.#shared = { power, times }
    return times
  }
}

/** Responses in a row that go one way. */
class Block {
  /** While hardly anyone beside them went the other way: what they waited, and the tokens they got for it. */
  waitedUs = 0
  tokens = 0
  rounds = 0

  constructor(
    readonly speculates: boolean,
    /** The load that it is of. */
    readonly running: number,
    /** Responses that have yet to begin. */
    public left: number,
  ) {}
}

/** The responses that have begun and not ended, by the way they go; undefined: apart. */
class Batch {
  readonly #open = new Map<boolean | undefined, number>()
  readonly #waitUs = new Mean()
  #size = 0
  /** Hardly anyone goes another way, and since when. */
  #unmixed: { readonly way: boolean | undefined; readonly sinceUs: number } = { way: undefined, sinceUs: 0 }

  constructor(private readonly running: () => number) {}

  changed(way: boolean | undefined, by: 1 | -1, nowUs: number): void {
    this.#size += by
    this.#open.set(way, (this.#open.get(way) ?? 0) + by)
    const most = [true, false].find((one) => (this.#open.get(one) ?? 0) >= UNMIXED * Math.max(1, this.#size))
    if (most !== this.#unmixed.way) this.#unmixed = { way: most, sinceUs: nowUs }
  }

  /** A response of the block waited for tokens. */
  waited(block: Block, sinceUs: number, nowUs: number, tokens: number): void {
    const { weight, value } = this.#waitUs
    const us = weight < LEAST_WAITS ? nowUs - sinceUs : Math.min(nowUs - sinceUs, PAUSE * value)
    this.#waitUs.observe(us, WAIT_MEMORY)
    if (block.speculates !== this.#unmixed.way || sinceUs < this.#unmixed.sinceUs) return
    // What is left of a rush is faster, either way.
    if (Math.abs(Math.log2(this.running() / block.running)) > SAME_LOAD) return
    block.waitedUs += us
    block.tokens += tokens
    block.rounds++
  }
}

class BatchedResponse implements DecodingMode {
  readonly speculates: boolean
  #block: Block | undefined
  #isOpen = false
  #sinceUs = 0

  constructor(
    private readonly batch: Batch,
    block: Block,
  ) {
    this.speculates = block.speculates
    this.#block = block
  }

  goesApart(): void {
    this.#block = undefined
  }

  waits(nowUs: number): void {
    if (!this.#isOpen) this.batch.changed(this.#block?.speculates, 1, nowUs)
    this.#isOpen = true
    this.#sinceUs = nowUs
  }

  emitted(tokens: number, nowUs: number): void {
    if (this.#block !== undefined) this.batch.waited(this.#block, this.#sinceUs, nowUs, tokens)
  }

  ended(nowUs: number): void {
    if (this.#isOpen) this.batch.changed(this.#block?.speculates, -1, nowUs)
    this.#isOpen = false
  }
}

/**
 * The two ways of one load, or of one kind of traffic, in blocks. Times of long ago are those of other texts and of another
 * moment of the machine; so a block now and then goes the other way, and is compared with those around it.
 */
class ModeTimes {
  #speculates = true
  /** Natural logarithm of the time with proposals over the time without, by looks. */
  readonly #loss = new Mean()
  #block: Block | undefined
  #look: Block | undefined
  /** The newest that went the way that most blocks go. */
  #usual: Block[] = []
  /** What a token took there when the last look was judged. */
  #atLook = 0
  /** Tokens of a round with proposals, lately. */
  readonly #yield = new Mean()
  #sinceLook = 0
  #looks = 0
  /** Looks in a row that showed nothing. */
  #vain = 0
  #isRenewed = false

  /** Most blocks. */
  get speculates(): boolean {
    return this.#speculates
  }

  get isOver(): boolean {
    return this.#block === undefined || this.#block.left === 0
  }

  /** Blocks begin after those of another load. As long as nothing is known of this one, it goes as that one did. */
  begin(before: ModeTimes | undefined): void {
    this.#block = undefined
    if (this.#looks > 0 || before === undefined || before.speculates === this.#speculates) return
    this.#speculates = before.speculates
    this.#usual = []
    this.#look = undefined
  }

  next(running: number): Block {
    if (this.#block === undefined || this.#block.left === 0 || this.#hasSeenEnough()) this.#block = this.#begin(running)
    this.#block.left--
    return this.#block
  }

  renew(): void {
    this.#isRenewed = true
  }

  /** A look that is that much slower need not be finished. */
  #hasSeenEnough(): boolean {
    if (this.#look === undefined || this.#block !== this.#look || this.#look.running === 1) return false
    return (this.#slowerBy(this.#look) ?? 0) > OBVIOUS
  }

  /** Natural logarithm of its time over the usual one; undefined where too little was seen. */
  #slowerBy(look: Block): number | undefined {
    const [seen, usual] = [tokenUs([look]), tokenUs(this.#usual)]
    return seen === 0 || usual === 0 ? undefined : Math.log(seen / usual)
  }

  #begin(running: number): Block {
    if (this.#look !== undefined && this.#sinceLook >= 1) this.#judge(this.#look)
    else if (this.#look === undefined) this.#noticeFall()
    this.#sinceLook++
    const isLook = this.#look === undefined && this.#sinceLook >= this.#interval() && tokenUs(this.#usual) > 0
    const speculates = isLook ? !this.#speculates : this.#speculates
    const beside = running - 1
    const block = new Block(
      speculates,
      running,
      beside + (beside === 0 ? ALONE : Math.max(LEAST_COUNTED, COUNTED * running)),
    )
    if (isLook) {
      this.#look = block
      this.#sinceLook = 0
    } else this.#usual = [...this.#usual.slice(1 - USUAL_BLOCKS), block]
    return block
  }

  #judge(look: Block): void {
    this.#look = undefined
    const slowerBy = this.#slowerBy(look)
    if (slowerBy === undefined) {
      this.#vain++
      return
    }
    this.#vain = 0
    const loss = look.speculates ? slowerBy : -slowerBy
    if (this.#isRenewed || Math.abs(loss - this.#loss.value) > SURPRISE) {
      this.#loss.weight = Math.min(this.#loss.weight, FORMER)
      this.#looks = Math.min(this.#looks, 1)
      this.#isRenewed = false
    }
    this.#loss.observe(loss, LOOK_MEMORY)
    this.#looks++
    if (this.#loss.value > 0 === this.#speculates) {
      this.#speculates = !this.#speculates
      this.#usual = [look]
      this.#yield.weight = 0
    }
    this.#atLook = tokenUs(this.#usual)
  }

  /**
   * Other traffic, of which less is accepted, is looked at next: tokens a round tell it sooner than the time does, and how
   * fast the machine is at the moment has no part in them. Who is alone has short blocks and is looked at often.
   */
  #noticeFall(): void {
    const newest = this.#usual.at(-1)
    if (newest === undefined || !newest.speculates || newest.running === 1 || tokenUs([newest]) === 0) return
    const found = newest.tokens / newest.rounds
    if (this.#yield.weight > 0 && found < FALLEN * this.#yield.value) {
      this.#usual = [newest]
      this.#yield.weight = 0
      this.#isRenewed = true
      this.#sinceLook = MOST_BLOCKS
    }
    this.#yield.observe(found, YIELD_MEMORY)
  }

  /** Blocks from one look to the next: few until it is clear which way is faster, then so many that looks cost their budget. */
  #interval(): number {
    if (this.#vain > 0) return Math.min(MOST_BLOCKS, UNCLEAR_BLOCKS * 2 ** this.#vain)
    if (this.#looks === 0) return FIRST_BLOCKS
    const loss = Math.abs(this.#loss.value)
    const affordable = Math.min(MOST_BLOCKS, Math.max(UNCLEAR_BLOCKS, loss / LOOK_BUDGET))
    const isClear = loss * Math.sqrt(this.#looks) > CLEAR
    const usual = tokenUs(this.#usual)
    const hasMoved = usual > 0 && this.#atLook > 0 && Math.abs(Math.log(usual / this.#atLook)) > SURPRISE
    return isClear && !hasMoved && !this.#isRenewed ? affordable : Math.max(UNCLEAR_BLOCKS, affordable / SOONER)
  }
}

/** What a token took; 0 where too few were seen. */
function tokenUs(blocks: readonly Block[]): number {
  const tokens = blocks.reduce((sum, block) => sum + block.tokens, 0)
  if (tokens === 0 || tokens < LEAST_TOKENS * blocks[0]!.running) return 0
  return blocks.reduce((sum, block) => sum + block.waitedUs, 0) / tokens
}

/** How much the newest response says of the load: the beginning of a rush more than its end, or the pause before the next. */
const RISE = 1 / 4
const FALL = 1 / 16
/** Kinds of traffic that are told apart. */
const MAX_KINDS = 64
/** Share of the responses that go the same way while time counts: a straggler in a large batch does not matter. */
const UNMIXED = 7 / 8
/** Powers of two that the responses at a moment may be off the load of a block. */
const SAME_LOAD = 0.75
/** What takes so many times longer than what is usual is a pause, and counts as so many; less, and a first token would be one. */
const PAUSE = 32
const LEAST_WAITS = 8
const WAIT_MEMORY = 256
/** Responses of a block after those that meet the block before: so many for each that runs at once, and at least so many; of who is alone. */
const COUNTED = 2
const LEAST_COUNTED = 16
const ALONE = 4
/** Share of the time that looks may cost. */
const LOOK_BUDGET = 0.01
/** Blocks from one look to the next: before the first one, while it is not clear which way is faster, and at the most. */
const FIRST_BLOCKS = 2
const UNCLEAR_BLOCKS = 6
const MOST_BLOCKS = 48
/** Twice what the logarithm of two times is off in one look. */
const CLEAR = 0.2
/** Three times the same while a look is young. */
const OBVIOUS = 0.3
/** Blocks that a look is compared with, and looks that are looked back on. */
const USUAL_BLOCKS = 3
const LOOK_MEMORY = 8
/** Share of its usual tokens a round that shows other traffic, and blocks that "usual" looks back on. */
const FALLEN = 0.85
const YIELD_MEMORY = 8
/** Tokens of a way before it is compared, for each response at once. */
const LEAST_TOKENS = 32
/** Logarithm of times: what changes by more is looked at again, that much sooner, as another draft is. */
const SURPRISE = 0.2
const SOONER = 3
/** What was believed before a surprise, or of another draft, counts as so many looks. */
const FORMER = 0.5
