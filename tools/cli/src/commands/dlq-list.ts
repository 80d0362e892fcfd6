import { readUpToNow, type EventLog } from '@plateau/event-log'
import { command, type Context } from '../command.js'
import { readDeadLetter } from '../dead-letters/dead-letter.js'
import { chooseDeadLetterTopics, heldRanges, type DeadLetterTopic } from '../dead-letters/dead-letter-topics.js'
import { ReplayMarks } from '../dead-letters/replay-marks.js'
import { text, value } from '../option.js'
import { duration, table } from '../table.js'

interface Held {
  readonly topic: string
  readonly source: string
  readonly group: string
  readonly exists: boolean
  held: number
  /** Of those held, how many were not sent back yet. */
  waiting: number
  newestAtMs: number | undefined
  readonly byClass: Record<string, number>
}

export const dlqList = command({
  name: 'dlq list',
  summary: 'what each dead letter topic holds: how much, how new, of which kinds',
  details: [
    'Reads the dead letter topics through, so it counts what is there. waiting: those that `dlq replay`',
    'has not sent back. Classes are the codes under which a service refused the records.',
  ].join('\n'),
  options: {
    topic: value('T', 'only those of this topic (or this dead letter topic)', text),
    group: value('G', 'only those of this consumer group', text),
  },
  run: async (context, options) => {
    const chosen = chooseDeadLetterTopics(options.topic, options.group)
    const log = await context.openLog()
    const all: Held[] = []
    for (const topic of chosen) all.push(await count(log, topic, context))
    context.report({ json: all, text: heldTable(all, context.now()) })
    return 0
  },
})

async function count(log: EventLog, topic: DeadLetterTopic, context: Context): Promise<Held> {
  const exists = (await heldRanges(log, topic)) !== undefined
  const { name, source, group } = topic
  const held: Held = {
    topic: name,
    source: source.name,
    group,
    exists,
    held: 0,
    waiting: 0,
    newestAtMs: undefined,
    byClass: {},
  }
  if (!exists) return held
  const marks = new ReplayMarks(log, name)
  for await (const { records } of readUpToNow(log.reader({ topic: name, from: 'earliest' }), context.signal)) {
    for (const record of records) {
      const { errorClass, failedAtMs } = readDeadLetter(record)
      held.held++
      if (!(await marks.isReplayed(errorClass, record.partition, record.offset))) held.waiting++
      held.newestAtMs = Math.max(held.newestAtMs ?? 0, failedAtMs)
      held.byClass[errorClass] = (held.byClass[errorClass] ?? 0) + 1
    }
  }
  return held
}

function heldTable(all: readonly Held[], nowMs: number): string {
  return table(
    ['topic', 'group', 'held', 'waiting', 'newest', 'classes'],
    all.map(({ source, group, exists, held, waiting, newestAtMs, byClass }) => [
      source,
      group,
      held,
      waiting,
      newestAtMs === undefined ? undefined : `${duration(nowMs - newestAtMs)} ago`,
      exists ? classesText(byClass) : 'no such topic yet',
    ]),
  )
}

export function classesText(byClass: Readonly<Record<string, number>>): string {
  return Object.entries(byClass)
    .toSorted(([, a], [, b]) => b - a)
    .map(([name, times]) => `${name} ${times}`)
    .join(', ')
}
