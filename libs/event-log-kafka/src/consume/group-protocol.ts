import kafkajs from 'kafkajs'
import { assignSticky, type GroupMemberClaims, type TopicPartition } from './assign-sticky.js'

/**
 * What members of a group tell each other through the coordinator. The frame is the one of Kafka's own consumers, so
 * that its tools can show the group; in its user data each member says what it holds (JSON).
 */
export const PROTOCOL_NAME = 'plateau-sticky-1'
const FRAME_VERSION = 0

const { MemberAssignment, MemberMetadata } = kafkajs.AssignerProtocol

export type Claims = Omit<GroupMemberClaims, 'memberId'>

export function encodeClaims({ topics, claims, generation }: Claims): Buffer {
  const userData = Buffer.from(JSON.stringify({ generation, claims: byTopic(claims) }))
  return MemberMetadata.encode({ version: FRAME_VERSION, topics: [...topics], userData })
}

/** A member whose user data is not of this kind holds nothing that we could know of. */
export function decodeClaims(bytes: Buffer): Claims {
  const metadata = MemberMetadata.decode(bytes)
  if (metadata === null) return { topics: [], claims: [], generation: -1 }
  return { topics: metadata.topics, ...parseHeld(metadata.userData) }
}

export function encodeAssignment(partitions: readonly TopicPartition[]): Buffer {
  return MemberAssignment.encode({
    version: FRAME_VERSION,
    assignment: byTopic(partitions),
    userData: Buffer.alloc(0),
  })
}

export function decodeAssignment(bytes: Buffer): TopicPartition[] {
  const decoded = bytes.length === 0 ? null : MemberAssignment.decode(bytes)
  return decoded === null ? [] : flat(decoded.assignment)
}

/** What the members of a group subscribe to, together. */
export function topicsOf(members: readonly { readonly memberMetadata: Buffer }[]): string[] {
  return [...new Set(members.flatMap(({ memberMetadata }) => decodeClaims(memberMetadata).topics))]
}

/** What the leader answers the coordinator with. */
export function assignGroup(
  members: readonly { readonly memberId: string; readonly memberMetadata: Buffer }[],
  partitionCounts: ReadonlyMap<string, number>,
): { memberId: string; memberAssignment: Buffer }[] {
  const claims = members.map(({ memberId, memberMetadata }) => ({ memberId, ...decodeClaims(memberMetadata) }))
  const assignment = assignSticky(claims, partitionCounts)
  return [...assignment].map(([memberId, partitions]) => ({
    memberId,
    memberAssignment: encodeAssignment(partitions),
  }))
}

function parseHeld(userData: Buffer): Pick<Claims, 'claims' | 'generation'> {
  try {
    const held: unknown = JSON.parse(userData.toString())
    if (typeof held === 'object' && held !== null && 'generation' in held && 'claims' in held) {
      const { generation, claims } = held
      if (typeof generation === 'number' && isByTopic(claims)) return { generation, claims: flat(claims) }
    }
  } catch {
    // Another kind of member.
  }
  return { claims: [], generation: -1 }
}

function isByTopic(value: unknown): value is Record<string, number[]> {
  if (typeof value !== 'object' || value === null) return false
  return Object.values(value).every(
    (held) => Array.isArray(held) && held.every((partition) => Number.isInteger(partition)),
  )
}

function byTopic(partitions: readonly TopicPartition[]): Record<string, number[]> {
  const topics: Record<string, number[]> = {}
  for (const { topic, partition } of partitions) (topics[topic] ??= []).push(partition)
  return topics
}

function flat(topics: Readonly<Record<string, readonly number[]>>): TopicPartition[] {
  return Object.entries(topics).flatMap(([topic, partitions]) => partitions.map((partition) => ({ topic, partition })))
}
