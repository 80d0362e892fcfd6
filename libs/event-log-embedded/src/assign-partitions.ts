export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}

export interface GroupMember {
  readonly id: string
  readonly topics: readonly string[]
}

/**
 * Which member should own each partition: evenly (counts differ by at most one among members of the same topics),
 * moving as few as possible from where they are, and the same result in whichever process computes it.
 *
 * `partitions` and `members` in a fixed order; `current[i]` is the member that partition i is meant for now, if any.
 * Undefined in the result: no member reads that topic.
 */
export function assignPartitions(
  partitions: readonly TopicPartition[],
  members: readonly GroupMember[],
  current: readonly (string | undefined)[],
): (string | undefined)[] {
  const owned = new Map<string, number>(members.map(({ id }) => [id, 0]))
  const readersOf = (topic: string) => members.filter((member) => member.topics.includes(topic)).map(({ id }) => id)
  const count = (id: string) => owned.get(id) ?? 0
  const least = (ids: readonly string[]) =>
    ids.reduce<string | undefined>((best, id) => (best === undefined || count(id) < count(best) ? id : best), undefined)

  const assigned = partitions.map(({ topic }, index) => {
    const holder = current[index]
    if (holder === undefined || !readersOf(topic).includes(holder)) return undefined
    owned.set(holder, count(holder) + 1)
    return holder
  })

  const give = (index: number, id: string) => {
    const holder = assigned[index]
    if (holder !== undefined) owned.set(holder, count(holder) - 1)
    owned.set(id, count(id) + 1)
    assigned[index] = id
  }

  for (const [index, { topic }] of partitions.entries()) {
    const id = assigned[index] === undefined ? least(readersOf(topic)) : undefined
    if (id !== undefined) give(index, id)
  }
  // Each move narrows a gap of two or more, so this ends.
  for (let moved = true; moved;) {
    moved = false
    for (const [index, { topic }] of partitions.entries()) {
      const holder = assigned[index]
      const id = least(readersOf(topic))
      if (holder === undefined || id === undefined || count(holder) - count(id) < 2) continue
      give(index, id)
      moved = true
    }
  }
  return assigned
}
