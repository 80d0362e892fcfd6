/**
 * All keys and values of a decoder within one budget of bytes: sequences in arenas by length, and the beginnings of
 * prompts that are kept for reuse.
 *
 * Memory that a sequence needs is taken, in this order, from what is free; from arenas that hold more than they need;
 * from kept prefixes; and from sequences that were opened after it, the youngest first. Those lose their keys and values
 * and compute them again when their turn comes, as a new prompt would. So the oldest sequence always goes on, and with
 * it, one after the other, all of them.
 */
import { PlateauError } from '@plateau/contracts'
import { KvArena, kvRowBytes, type KvPlace, type KvShape } from './kv-arena.js'
import { PrefixStore } from './prefix-store.js'

export interface KvMemoryOptions {
  readonly budgetBytes: number
  readonly prefixBytes: number
}

export interface KvMemoryUse {
  /** Keys and values that sequences have filled, and kept prefixes. */
  readonly usedBytes: number
  /** What is held for them: never above the budget. */
  readonly reservedBytes: number
  readonly budgetBytes: number
  readonly prefixBytes: number
}

/** Sequences of up to so many rows share an arena, then up to four times as many, and so on. */
const shortestClassRows = 512

export class KvMemory {
  readonly prefixes: PrefixStore
  readonly budgetBytes: number
  readonly #shape: KvShape
  readonly #arenas: KvArena[] = []
  /** In the order of opening. */
  readonly #places = new Set<KvPlace>()

  constructor(shape: KvShape, { budgetBytes, prefixBytes }: KvMemoryOptions) {
    this.#shape = shape
    this.budgetBytes = budgetBytes
    this.prefixes = new PrefixStore(shape, prefixBytes)
  }

  get use(): KvMemoryUse {
    const filled = this.#arenas.reduce((sum, arena) => sum + arena.usedBytes, 0)
    return {
      usedBytes: filled + this.prefixes.bytes,
      reservedBytes: this.#reserved(),
      budgetBytes: this.budgetBytes,
      prefixBytes: this.prefixes.bytes,
    }
  }

  get freeBytes(): number {
    return this.budgetBytes - this.#reserved()
  }

  open(scope = ''): KvPlace {
    const place: KvPlace = { arena: undefined, slot: -1, rows: 0, reserved: 0, scope }
    this.#places.add(place)
    return place
  }

  /** Safe at any time, also during a run. */
  close(place: KvPlace): void {
    place.arena?.leave(place)
    this.#places.delete(place)
  }

  /**
   * Room for `rows` rows of a sequence that will have `finalRows` by the end of what it is doing. False: what else there
   * is may not be taken from; try again when a sequence has closed. `pinned` places keep theirs. `stale` ones may be
   * taken from, although they are older.
   */
  reserve(
    place: KvPlace,
    rows: number,
    finalRows: number,
    rules: { pinned: (place: KvPlace) => boolean; stale: (place: KvPlace) => boolean },
  ): boolean {
    const arena = this.#arena(this.lengthClass(place, finalRows))
    const missing = () => arena.bytesFor(place, rows) - arena.bytes - this.freeBytes
    while (missing() > 0) {
      if (!this.#trim() && !this.#dropPrefix() && !this.#evict(place, rules) && !this.#restart(place, arena))
        return false
    }
    arena.hold(place, rows, this.freeBytes - Math.max(0, arena.bytesFor(place, rows) - arena.bytes))
    return true
  }

  /**
   * Which sequences one of so many rows can share a run with. It never goes back to shorter ones: it would only grow
   * again.
   */
  lengthClass(place: KvPlace, rows: number): number {
    const ofRows = Math.ceil(Math.log(Math.max(1, rows / shortestClassRows)) / Math.log(4))
    return Math.max(ofRows, place.arena ? this.#arenas.indexOf(place.arena) : 0)
  }

  /** Between runs: what closed sequences left behind costs no computing. An arena that holds nothing lets go of much. */
  settle(): void {
    for (const arena of this.#arenas) {
      arena.settle()
      if (arena.places.length === 0 && arena.bytes > this.budgetBytes / 8) arena.trim()
    }
  }

  #reserved(): number {
    return this.#arenas.reduce((sum, arena) => sum + arena.bytes, 0) + this.prefixes.bytes
  }

  #arena(lengthClass: number): KvArena {
    while (this.#arenas.length <= lengthClass) this.#arenas.push(new KvArena(this.#shape))
    return this.#arenas[lengthClass]!
  }

  #trim(): boolean {
    const before = this.freeBytes
    for (const arena of this.#arenas) arena.trim()
    return this.freeBytes > before
  }

  #dropPrefix(): boolean {
    return this.prefixes.evictOldest() > 0
  }

  #evict(
    forPlace: KvPlace,
    { pinned, stale }: { pinned: (place: KvPlace) => boolean; stale: (place: KvPlace) => boolean },
  ): boolean {
    const youngestFirst = [...this.#places].reverse()
    const younger = youngestFirst.slice(0, youngestFirst.indexOf(forPlace))
    const holds = (place: KvPlace) => place !== forPlace && place.arena !== undefined && !pinned(place)
    const victim = younger.find(holds) ?? youngestFirst.find((place) => holds(place) && stale(place))
    victim?.arena?.leave(victim)
    return victim !== undefined
  }

  /** Where moving to a larger arena needs room for both copies and there is none, the sequence is computed anew. */
  #restart(place: KvPlace, arena: KvArena): boolean {
    const alone = [...this.#places].every((other) => other === place || other.arena === undefined)
    if (place.arena === undefined || place.arena === arena || !alone) return false
    place.arena.leave(place)
    return true
  }
}

/** The longest context whose keys and values fit the budget. Throws when not even the shortest useful one does. */
export function contextThatFits(shape: KvShape, budgetBytes: number, wanted: number, model: string): number {
  // Rows come in steps of an eighth.
  const fits = Math.floor((budgetBytes / kvRowBytes(shape)) * (8 / 9))
  if (fits >= Math.min(wanted, 64)) return Math.min(wanted, fits)
  throw new PlateauError(
    'CACHE_TOO_SMALL',
    `A key-value cache of ${budgetBytes} bytes holds ${fits} tokens of "${model}"; give it at least ` +
      `${Math.ceil(64 * kvRowBytes(shape) * (9 / 8))} bytes.`,
    { facts: { model, budgetBytes, tokens: fits } },
  )
}
