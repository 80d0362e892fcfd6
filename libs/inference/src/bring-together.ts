import type { KvArena, KvPlace } from './kv-arena.js'

/**
 * A run computes attention for all slots from its first place's to its last's. Where more than half as many again would be
 * computed for nothing, places move next to each other: moving one costs about what computing a stranger's attention a few
 * times does, and who ran together once usually does again.
 */
export function bringTogether(arena: KvArena, places: readonly KvPlace[]): void {
  const slots = places.map(({ slot }) => slot).sort((a, b) => a - b)
  const span = slots.at(-1)! - slots[0]! + 1
  if (span - slots.length <= slots.length / 2) return
  const start = fullestStart(slots, Math.max(0, arena.places.length - slots.length))
  const own = new Set(slots)
  const strangers = Array.from({ length: slots.length }, (_, i) => start + i).filter((slot) => !own.has(slot))
  for (const slot of slots) {
    if (slot < start || slot >= start + slots.length) arena.swap(slot, strangers.pop()!)
  }
}

/** Where as many neighbouring slots as there are places hold most of them already; at most `last`. */
function fullestStart(slots: readonly number[], last: number): number {
  const inside = (first: number) => slots.filter((slot) => slot >= first && slot < first + slots.length).length
  return slots
    .map((slot) => Math.min(slot, last))
    .reduce((best, start) => (inside(start) > inside(best) ? start : best))
}
