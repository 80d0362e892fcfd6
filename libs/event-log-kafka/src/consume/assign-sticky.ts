/** Who gets what in a group, as its leader decides it. Pure: the same members always lead to the same assignment. */
export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}

export interface GroupMemberClaims {
  readonly memberId: string
  readonly topics: readonly string[]
  /** What it holds at this moment, and since it last heard of the group: of two who hold the same, the later one does. */
  readonly claims: readonly TopicPartition[]
  readonly generation: number
}

/**
 * Gives every partition to one member that subscribes to its topic, evenly, and moves as few as that allows. A partition
 * that someone else still holds is given to nobody in this round: its holder sees that it is to give it up, finishes
 * what is in hand, and joins again without it. So nobody stops for a rebalance but for what they lose, and no partition
 * is ever worked on by two.
 */
export function assignSticky(
  members: readonly GroupMemberClaims[],
  partitionCounts: ReadonlyMap<string, number>,
): Map<string, TopicPartition[]> {
  const holders = holdersOf(members, partitionCounts)
  const assignment = new Map(members.map(({ memberId }) => [memberId, [] as TopicPartition[]]))
  for (const [key, memberId] of targets(members, partitionCounts, holders)) {
    const holder = holders.get(key)
    if (holder === undefined || holder === memberId) assignment.get(memberId)?.push(partitionOfKey(key))
  }
  return assignment
}

function targets(
  members: readonly GroupMemberClaims[],
  partitionCounts: ReadonlyMap<string, number>,
  holders: ReadonlyMap<string, string>,
): Map<string, string> {
  const ids = members.map(({ memberId }) => memberId).toSorted()
  const topicsOf = new Map(members.map(({ memberId, topics }) => [memberId, new Set(topics)]))
  const owner = new Map<string, string>()
  const count = new Map(ids.map((id) => [id, 0]))
  const loadOf = (memberId: string | undefined) => count.get(memberId ?? '') ?? 0
  const give = (key: string, memberId: string) => {
    const before = owner.get(key)
    if (before !== undefined) count.set(before, loadOf(before) - 1)
    owner.set(key, memberId)
    count.set(memberId, loadOf(memberId) + 1)
  }
  const mayHave = (memberId: string, key: string) => topicsOf.get(memberId)?.has(partitionOfKey(key).topic) === true
  const leastLoaded = (key: string) =>
    ids.filter((id) => mayHave(id, key)).reduce<string | undefined>((best, id) => less(count, id, best), undefined)

  const keys = allKeys(partitionCounts)
  for (const key of keys) {
    const holder = holders.get(key)
    if (holder !== undefined && mayHave(holder, key)) give(key, holder)
  }
  for (const key of keys) {
    const least = owner.has(key) ? undefined : leastLoaded(key)
    if (least !== undefined) give(key, least)
  }
  const gapOf = (key: string, to = leastLoaded(key)) => (to === undefined ? 0 : loadOf(owner.get(key)) - loadOf(to))
  // From where most is to where least is: each move narrows a gap of at least two, so this ends; and nobody both gives and
  // gets.
  for (;;) {
    const key = keys.reduceRight<string | undefined>((widest, candidate) => {
      return widest === undefined || gapOf(candidate) > gapOf(widest) ? candidate : widest
    }, undefined)
    const to = key === undefined ? undefined : leastLoaded(key)
    if (key === undefined || to === undefined || gapOf(key) < 2) break
    give(key, to)
  }
  return owner
}

function holdersOf(
  members: readonly GroupMemberClaims[],
  partitionCounts: ReadonlyMap<string, number>,
): Map<string, string> {
  const known = new Set(allKeys(partitionCounts))
  const holders = new Map<string, GroupMemberClaims>()
  for (const member of members.toSorted((a, b) => (a.memberId < b.memberId ? -1 : 1))) {
    for (const claim of member.claims) {
      const key = keyOf(claim)
      const other = holders.get(key)
      if (known.has(key) && (other === undefined || other.generation < member.generation)) holders.set(key, member)
    }
  }
  return new Map([...holders].map(([key, { memberId }]) => [key, memberId]))
}

function allKeys(partitionCounts: ReadonlyMap<string, number>): string[] {
  const topics = [...partitionCounts].toSorted(([a], [b]) => (a < b ? -1 : 1))
  return topics.flatMap(([topic, partitions]) =>
    Array.from({ length: partitions }, (_, partition) => keyOf({ topic, partition })),
  )
}

function less(count: ReadonlyMap<string, number>, id: string, best: string | undefined): string {
  return best === undefined || (count.get(id) ?? 0) < (count.get(best) ?? 0) ? id : best
}

/** Kafka's topic names have no slash. */
export function keyOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`
}

function partitionOfKey(key: string): TopicPartition {
  const slash = key.lastIndexOf('/')
  return { topic: key.slice(0, slash), partition: Number(key.slice(slash + 1)) }
}
