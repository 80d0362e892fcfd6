import { allTopics, deadLetterTopic, deadLetterTopics, PlateauError, type TopicSpec } from '@plateau/contracts'
import type { EventLog, PartitionRange } from '@plateau/event-log'
import { UsageError } from '../usage-error.js'

/** Where the records lie that `group` could not use of `source`. */
export interface DeadLetterTopic {
  readonly name: string
  readonly source: TopicSpec
  readonly group: string
}

const declared: readonly DeadLetterTopic[] = deadLetterTopics.map((topic) => parseName(topic.name)!)

/**
 * The dead letter topics that a command line means. `topic` is one of them, or the topic they came from. Those of other
 * teams' groups are not declared here: they are found by topic and group, or by their full name.
 */
export function chooseDeadLetterTopics(topic: string | undefined, group: string | undefined): DeadLetterTopic[] {
  const exact = topic === undefined ? undefined : parseName(topic)
  if (exact !== undefined) return [exact]
  const source = allTopics.find(({ name }) => name === topic)
  if (topic !== undefined && source === undefined) {
    throw new UsageError(`--topic ${topic} is neither a topic of ours nor a dead letter topic of one`)
  }
  const found = declared.filter(
    (candidate) =>
      (source === undefined || candidate.source === source) && (group === undefined || candidate.group === group),
  )
  if (found.length > 0) return found
  if (source !== undefined && group !== undefined) {
    return [{ name: deadLetterTopic(source, group).name, source, group }]
  }
  const names = declared.map(({ name }) => name).join(', ')
  throw new UsageError(`no dead letter topic is declared for that; there are: ${names}`)
}

export function oneDeadLetterTopic(topic: string, group: string | undefined): DeadLetterTopic {
  const found = chooseDeadLetterTopics(topic, group)
  if (found.length === 1) return found[0]!
  throw new UsageError(`--topic ${topic} has several; add --group (${found.map((each) => each.group).join(', ')})`)
}

/** Undefined when the topic does not exist: no service of that group has started yet. */
export async function heldRanges(log: EventLog, topic: DeadLetterTopic): Promise<PartitionRange[] | undefined> {
  try {
    return await log.offsets(topic.name)
  } catch (error) {
    if (error instanceof PlateauError && error.code === 'UNKNOWN_TOPIC') return undefined
    throw error
  }
}

function parseName(name: string): DeadLetterTopic | undefined {
  const source = allTopics.find((topic) => name.startsWith(`${topic.name}.`) && name.endsWith('.dlq'))
  const group = source && name.slice(source.name.length + 1, -'.dlq'.length)
  return group ? { name, source: source!, group } : undefined
}
