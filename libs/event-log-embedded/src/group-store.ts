import { randomUUID } from 'node:crypto'
import type { StatementSync } from 'node:sqlite'
import type { PartitionOffset } from '@plateau/event-log'
import { assignPartitions, type TopicPartition } from './assign-partitions.js'
import type { Database } from './database.js'
import { isCertainlyDead, type ProcessIdentity, thisProcess } from './process-identity.js'

export interface OwnedPartition extends TopicPartition {
  /** Grows with every change of owner: what fences a commit. */
  readonly epoch: number
  /** Another member is to have it: finish the batch in hand and release it. */
  readonly leaving: boolean
}

export interface Membership {
  readonly group: string
  readonly memberId: string
}

export interface GroupView {
  /** False when the group has given this member up: everything it owned is lost. */
  readonly isMember: boolean
  readonly owned: readonly OwnedPartition[]
  /** The group's other processes, to notice early that one died. */
  readonly peers: readonly ProcessIdentity[]
  /** Others must look. */
  readonly changed: boolean
}

type Statements = Record<keyof typeof STATEMENTS, StatementSync>

interface MemberRow extends ProcessIdentity {
  readonly id: string
  readonly topics: readonly string[]
  readonly sessionTimeoutMs: number
  readonly seenAtMs: number
}

interface AssignmentRow extends TopicPartition {
  readonly owner: string | undefined
  readonly wanted: string | undefined
  readonly epoch: number
  readonly handoverByMs: number | undefined
}

/**
 * Consumer groups in one table, with no coordinator: whoever touches a group puts it in order, in that transaction.
 *
 * A partition that is to move from one live member to another is first marked (`wanted` differs from `owner`); its
 * owner finishes the batch in hand and releases it, or loses it after its own session timeout. So with members that
 * commit every batch a rebalance delivers nothing twice.
 */
export class GroupStore {
  readonly #db: Database
  readonly #nowMs: () => number
  readonly #self = thisProcess()
  readonly #sql: Statements

  constructor(db: Database, nowMs: () => number) {
    this.#db = db
    this.#nowMs = nowMs
    this.#sql = Object.fromEntries(
      Object.entries(STATEMENTS).map(([name, sql]) => [name, db.prepare(sql)]),
    ) as Statements
  }

  join(group: string, topics: readonly string[], sessionTimeoutMs: number): Membership & GroupView {
    const me = { group, memberId: randomUUID() }
    const { pid, startedAt, space } = this.#self
    const view = this.#db.transact(() => {
      const now = this.#nowMs()
      this.#sql.join.run(me.memberId, group, JSON.stringify(topics), pid, startedAt, space, sessionTimeoutMs, now)
      return this.#settle(me)
    })
    return { ...me, ...view }
  }

  /** To be called well within the session timeout. */
  heartbeat(me: Membership): GroupView {
    return this.#db.transact(() => {
      this.#sql.heartbeat.run(this.#nowMs(), me.memberId)
      return this.#settle(me)
    })
  }

  release(me: Membership, { topic, partition, epoch }: OwnedPartition): GroupView {
    return this.#db.transact(() => {
      this.#sql.release.run(me.group, topic, partition, me.memberId, epoch)
      return this.#settle(me)
    })
  }

  leave(me: Membership): GroupView {
    return this.#db.transact(() => {
      this.#sql.removeMember.run(me.memberId)
      return this.#settle(me)
    })
  }

  isPeerDead(peers: readonly ProcessIdentity[]): boolean {
    return peers.some((peer) => isCertainlyDead(peer, this.#self))
  }

  /** False when the partition has another owner, or the same one again after it was lost in between. */
  commit(me: Membership, { topic, partition, epoch }: OwnedPartition, nextOffset: number): boolean {
    return this.#db.transact(() => {
      if (this.#sql.owns.get(me.group, topic, partition, me.memberId, epoch) === undefined) return false
      this.#sql.commit.run(me.group, topic, partition, nextOffset)
      return true
    })
  }

  /** Outside any membership, unfenced. */
  commitDirectly(group: string, topic: string, offsets: readonly PartitionOffset[]): void {
    this.#db.transact(() => {
      for (const { partition, offset } of offsets) this.#sql.commit.run(group, topic, partition, offset)
    })
  }

  committed(group: string, topic: string): Map<number, number> {
    const rows = this.#sql.committed.all(group, topic)
    return new Map(rows.map((row) => [Number(row['partition']), Number(row['next_offset'])]))
  }

  /** Drops the dead, spreads the partitions over the living, and says what that means for one member. */
  #settle(me: Membership): GroupView {
    const now = this.#nowMs()
    const members: MemberRow[] = []
    let changed = false
    for (const member of this.#sql.members.all(me.group).map(memberOf)) {
      if (this.#isGone(member, me, now)) this.#sql.removeMember.run(member.id)
      else members.push(member)
    }
    const rows = this.#rowsOf(me.group, members)
    const live = new Set(members.map(({ id }) => id))
    const plan = assignPartitions(
      rows,
      members,
      rows.map(({ wanted, owner }) => (wanted !== undefined && live.has(wanted) ? wanted : owner)),
    )
    const settled = rows.map((row, index) => {
      const next = nextAssignment(row, plan[index], members, now)
      if (!isSame(row, next)) changed = this.#save(me.group, next)
      return next
    })
    return {
      isMember: live.has(me.memberId),
      owned: settled
        .filter(({ owner }) => owner === me.memberId)
        .map(({ topic, partition, epoch, wanted }) => ({ topic, partition, epoch, leaving: wanted !== me.memberId })),
      peers: members.filter(({ id }) => id !== me.memberId),
      changed,
    }
  }

  #isGone(member: MemberRow, me: Membership, now: number): boolean {
    if (member.id === me.memberId) return false
    return now - member.seenAtMs > member.sessionTimeoutMs || isCertainlyDead(member, this.#self)
  }

  /** The group's partitions: those assigned before, and those of the topics that its members read. */
  #rowsOf(group: string, members: readonly MemberRow[]): AssignmentRow[] {
    const rows = this.#sql.assignments.all(group).map(assignmentOf)
    const known = new Set(rows.map((row) => `${row.topic}/${row.partition}`))
    for (const topic of new Set(members.flatMap((member) => member.topics))) {
      const partitions = Number(this.#sql.partitions.get(topic)?.['partitions'] ?? 0)
      for (let partition = 0; partition < partitions; partition++) {
        if (known.has(`${topic}/${partition}`)) continue
        rows.push({ topic, partition, owner: undefined, wanted: undefined, epoch: 0, handoverByMs: undefined })
      }
    }
    return rows
  }

  #save(group: string, row: AssignmentRow): true {
    const { topic, partition, owner, wanted, epoch, handoverByMs } = row
    this.#sql.assign.run(group, topic, partition, owner ?? null, wanted ?? null, epoch, handoverByMs ?? null)
    return true
  }
}

/** One step of a partition's way to the member that should have it. */
function nextAssignment(
  row: AssignmentRow,
  wanted: string | undefined,
  members: readonly MemberRow[],
  now: number,
): AssignmentRow {
  const owner = members.find(({ id }) => id === row.owner)
  if (owner !== undefined && owner.id === wanted) return { ...row, wanted, handoverByMs: undefined }
  if (owner !== undefined) {
    const handoverByMs = row.handoverByMs ?? now + owner.sessionTimeoutMs
    if (now < handoverByMs) return { ...row, wanted, handoverByMs }
  }
  const epoch = row.owner === wanted ? row.epoch : row.epoch + 1
  return { ...row, owner: wanted, wanted, epoch, handoverByMs: undefined }
}

function isSame(a: AssignmentRow, b: AssignmentRow): boolean {
  return a.owner === b.owner && a.wanted === b.wanted && a.epoch === b.epoch && a.handoverByMs === b.handoverByMs
}

function memberOf(row: Record<string, unknown>): MemberRow {
  return {
    id: String(row['id']),
    topics: JSON.parse(String(row['topics'])) as string[],
    pid: Number(row['pid']),
    startedAt: String(row['started_at']),
    space: String(row['space']),
    sessionTimeoutMs: Number(row['session_timeout_ms']),
    seenAtMs: Number(row['seen_at_ms']),
  }
}

function assignmentOf(row: Record<string, unknown>): AssignmentRow {
  return {
    topic: String(row['topic']),
    partition: Number(row['partition']),
    owner: textOf(row['owner']),
    wanted: textOf(row['wanted']),
    epoch: Number(row['epoch']),
    handoverByMs: row['handover_by_ms'] === null ? undefined : Number(row['handover_by_ms']),
  }
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

const STATEMENTS = {
  join: 'INSERT INTO members VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
  heartbeat: 'UPDATE members SET seen_at_ms = ? WHERE id = ?',
  members: 'SELECT * FROM members WHERE group_name = ? ORDER BY rowid',
  removeMember: 'DELETE FROM members WHERE id = ?',
  partitions: 'SELECT partitions FROM topics WHERE name = ?',
  assignments: 'SELECT * FROM assignments WHERE group_name = ? ORDER BY topic, partition',
  assign: 'INSERT OR REPLACE INTO assignments VALUES (?, ?, ?, ?, ?, ?, ?)',
  release: `UPDATE assignments SET owner = NULL
    WHERE group_name = ? AND topic = ? AND partition = ? AND owner = ? AND epoch = ?`,
  owns: `SELECT 1 FROM assignments
    WHERE group_name = ? AND topic = ? AND partition = ? AND owner = ? AND epoch = ?`,
  commit: 'INSERT OR REPLACE INTO commits VALUES (?, ?, ?, ?)',
  committed: 'SELECT partition, next_offset FROM commits WHERE group_name = ? AND topic = ?',
} as const
