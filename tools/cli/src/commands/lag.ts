import { setTimeout as sleep } from 'node:timers/promises'
import { PlateauError } from '@plateau/contracts'
import { readLag, type EventLog } from '@plateau/event-log'
import { command } from '../command.js'
import { knownGroups, type GroupOfTopic } from '../groups.js'
import { defaulted, flag, text, value, wholeNumber } from '../option.js'
import { table } from '../table.js'
import { UsageError } from '../usage-error.js'

interface LagRow extends GroupOfTopic {
  readonly partition: number
  /** Undefined: the group never committed there. */
  readonly committed: number | undefined
  readonly end: number
  readonly lag: number
  readonly expired: number
}

export const lag = command({
  name: 'lag',
  summary: 'how far each consumer group is behind, partition by partition',
  details: [
    'From the offsets in the log, so also while the group is down. lag: records between the committed',
    'offset and the end (all that is held for a group that never committed). expired: records that the',
    'group had not read when retention removed them. A topic that does not exist yet is left out.',
  ].join('\n'),
  options: {
    group: value('G', "one group; default: the services' own", text),
    topic: value('T', 'the topic of a group that is not a service of ours', text),
    watch: flag('again and again, until Ctrl-C'),
    every: defaulted('SECONDS', 'with --watch', wholeNumber(1), '2'),
  },
  run: async (context, options) => {
    const pairs = choose(options.group, options.topic)
    const log = await context.openLog()
    do {
      const rows = (await Promise.all(pairs.map((pair) => lagRows(log, pair)))).flat()
      context.report({ json: rows, text: lagTable(rows) })
    } while (options.watch && (await pause(options.every * 1000, context.signal)))
    return 0
  },
})

function choose(group: string | undefined, topic: string | undefined): readonly GroupOfTopic[] {
  if (group === undefined) {
    if (topic !== undefined) throw new UsageError('--topic needs --group')
    return knownGroups
  }
  if (topic !== undefined) return [{ group, topic }]
  const known = knownGroups.filter((pair) => pair.group === group)
  if (known.length > 0) return known
  throw new UsageError(
    `"${group}" is no group of ours (${knownGroups.map((pair) => pair.group).join(', ')}); add --topic`,
  )
}

async function lagRows(log: EventLog, pair: GroupOfTopic): Promise<LagRow[]> {
  try {
    // In readLag's order, for its reason: committed, then lag, then the end.
    const committed = new Map((await log.committed(pair.group, pair.topic)).map((at) => [at.partition, at.offset]))
    const behind = await readLag(log, pair.group, pair.topic)
    const ends = new Map((await log.offsets(pair.topic)).map((range) => [range.partition, range.next]))
    return behind.map(({ partition, records, expired }) => {
      const offset = committed.get(partition) ?? -1
      const end = ends.get(partition) ?? 0
      return { ...pair, partition, committed: offset < 0 ? undefined : offset, end, lag: records, expired }
    })
  } catch (error) {
    if (error instanceof PlateauError && error.code === 'UNKNOWN_TOPIC') return []
    throw error
  }
}

function lagTable(rows: readonly LagRow[]): string {
  if (rows.length === 0) return 'none of these topics exists yet\n'
  return table(
    ['group', 'topic', 'partition', 'committed', 'end', 'lag', 'expired'],
    rows.map((row) => [row.group, row.topic, row.partition, row.committed, row.end, row.lag, row.expired]),
  )
}

/** False when the signal ended it. */
async function pause(ms: number, signal: AbortSignal): Promise<boolean> {
  await sleep(ms, undefined, { signal }).catch(() => {})
  return !signal.aborted
}
