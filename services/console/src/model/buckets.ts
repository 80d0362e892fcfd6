import { addCounts, emptyCounts, sumCounts, type Counts } from './counts.js'

/** Names kept apart within a bucket; further ones count as this one. */
const OTHER = 'other'
const MAX_NAMES = 64

export interface Slot {
  readonly fromMs: number
  readonly counts: Counts
}

/** Counts by name in buckets of equal width; the newest `max` of them. */
export class Buckets {
  readonly widthMs: number
  readonly #max: number
  /** By number of the bucket since 1970. */
  readonly #slots = new Map<number, Map<string, Counts>>()

  constructor(widthMs: number, max: number) {
    this.widthMs = widthMs
    this.#max = max
  }

  add(atMs: number, name: string, added: Counts): void {
    const number = Math.floor(atMs / this.widthMs)
    const slot = this.#slots.get(number) ?? this.#open(number)
    const kept = slot.has(name) || slot.size < MAX_NAMES ? name : OTHER
    const counts = slot.get(kept) ?? emptyCounts()
    slot.set(kept, counts)
    addCounts(counts, added)
  }

  /** Names between two times, most emitted or proposed tokens first. */
  totals(fromMs: number, toMs: number): [string, Counts][] {
    const sums = new Map<string, Counts>()
    for (const [, slot] of this.#between(fromMs, toMs)) {
      for (const [name, counts] of slot) {
        const sum = sums.get(name) ?? emptyCounts()
        sums.set(name, sum)
        addCounts(sum, counts)
      }
    }
    const weight = (counts: Counts): number => counts.emittedTokens + counts.draftTokens
    return [...sums].toSorted((a, b) => weight(b[1]) - weight(a[1]))
  }

  /** Sums over the names that `wanted` picks, in steps of `stepMs` (a multiple of the width), oldest first; empty steps are left out. */
  series(wanted: (name: string) => boolean, fromMs: number, toMs: number, stepMs: number): Slot[] {
    const steps = new Map<number, Counts>()
    for (const [number, slot] of this.#between(fromMs, toMs)) {
      const picked = [...slot].filter(([name]) => wanted(name)).map(([, counts]) => counts)
      if (picked.length === 0) continue
      const stepFromMs = Math.floor((number * this.widthMs) / stepMs) * stepMs
      const sum = steps.get(stepFromMs) ?? emptyCounts()
      steps.set(stepFromMs, sum)
      addCounts(sum, sumCounts(picked))
    }
    return [...steps].toSorted((a, b) => a[0] - b[0]).map(([stepFromMs, counts]) => ({ fromMs: stepFromMs, counts }))
  }

  /** Begin of the oldest bucket; undefined when there is none. */
  oldestMs(): number | undefined {
    return this.#slots.size === 0 ? undefined : Math.min(...this.#slots.keys()) * this.widthMs
  }

  #open(number: number): Map<string, Counts> {
    const slot = new Map<string, Counts>()
    this.#slots.set(number, slot)
    if (this.#slots.size > this.#max) this.#slots.delete(Math.min(...this.#slots.keys()))
    return slot
  }

  #between(fromMs: number, toMs: number): [number, Map<string, Counts>][] {
    const [from, to] = [Math.floor(fromMs / this.widthMs), Math.floor(toMs / this.widthMs)]
    return [...this.#slots].filter(([number]) => number >= from && number <= to)
  }
}
