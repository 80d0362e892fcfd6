import { command, type Context, type ExitCode } from '../command.js'
import { heldRanges, oneDeadLetterTopic, type DeadLetterTopic } from '../dead-letters/dead-letter-topics.js'
import { replay, type ReplayResult, type ReplaySelection } from '../dead-letters/replay.js'
import { flag, required, text, value, wholeNumber } from '../option.js'
import { UsageError } from '../usage-error.js'
import { classesText } from './dlq-list.js'

const PROGRESS_EVERY_MS = 2000

export const dlqReplay = command({
  name: 'dlq replay',
  summary: 'send dead letters back to the topic they came from, once their cause is gone',
  details: `
Sends key, value and the record's own headers, so the same ce_id: a consumer that had the record
before drops it. x-dlq-attempts goes with it and counts on when it fails again; x-dlq-replayed-at
says when it was sent.

Order: a replayed record comes after whatever its key has had since. Consumers of ours keep no order
between the windows of a sample; other teams' might.
Duplicates: progress is kept as committed offsets of group plateau-cli.replay.v1 (with --class, one
group for each class), so a second run sends only what is new. A crash in the middle can send one
batch again; ce_id tells. On Kafka those offsets are kept for 30 days, dead letters for 14. A single
letter (--partition, --offset) is remembered only when it is the next in line: a later --all may send
it again.`,
  options: {
    topic: required('T', 'the topic they came from, or the dead letter topic', text),
    group: value('G', 'the consumer group that could not use them', text),
    all: flag('all that were not replayed yet'),
    class: value('CODE', 'with --all: only those of this error class', text),
    partition: value('P', 'one letter: its partition in the dead letter topic', wholeNumber(0)),
    offset: value('O', 'one letter: its offset there', wholeNumber(0)),
    again: flag('also those that were replayed before'),
    'dry-run': flag('say what would be sent, and send nothing'),
  },
  run: async (context, options) => {
    const selection = select(options)
    const topic = oneDeadLetterTopic(options.topic, options.group)
    const log = await context.openLog()
    const held = await heldRanges(log, topic)
    if (held === undefined) {
      context.say(`${topic.name} does not exist yet: there is nothing to replay`)
      return report(context, topic, empty(), options['dry-run'])
    }
    const result = await replay(log, topic, held, selection, {
      isDryRun: options['dry-run'],
      again: options.again,
      now: context.now,
      signal: context.signal,
      onProgress: sayNowAndThen(context),
    })
    if (selection.kind === 'one' && isEmpty(result)) {
      context.say(`${topic.name} holds no record at ${selection.partition}:${selection.offset}`)
      return 1
    }
    return report(context, topic, result, options['dry-run'])
  },
})

interface Selecting {
  readonly all: boolean
  readonly class: string | undefined
  readonly partition: number | undefined
  readonly offset: number | undefined
}

function select({ all, class: errorClass, partition, offset }: Selecting): ReplaySelection {
  if (partition !== undefined && offset !== undefined) {
    if (all || errorClass !== undefined)
      throw new UsageError('--all and --class do not go with --partition and --offset')
    return { kind: 'one', partition, offset }
  }
  if (partition !== undefined || offset !== undefined) throw new UsageError('--partition and --offset go together')
  if (!all) throw new UsageError('say which: --all (with --class, those of one class), or --partition P --offset O')
  return { kind: 'all', errorClass }
}

function report(context: Context, topic: DeadLetterTopic, result: ReplayResult, isDryRun: boolean): ExitCode {
  const byClass = Object.fromEntries(result.byClass)
  const verb = isDryRun ? 'would be sent' : 'sent'
  const lines = [`${result.replayed} ${verb} back to ${topic.source.name}${listed(byClass)}`]
  if (result.alreadyReplayed > 0) lines.push(`${result.alreadyReplayed} were sent before; --again sends them, too`)
  for (const { partition, offset, why } of result.failed) lines.push(`not sent: ${partition}:${offset}: ${why}`)
  context.report({ json: { topic: topic.name, isDryRun, ...result, byClass }, text: `${lines.join('\n')}\n` })
  return result.failed.length === 0 ? 0 : 1
}

function listed(byClass: Readonly<Record<string, number>>): string {
  const text = classesText(byClass)
  return text === '' ? '' : `: ${text}`
}

function sayNowAndThen(context: Context): (result: ReplayResult) => void {
  let saidAtMs = context.now()
  return ({ replayed }) => {
    if (context.now() - saidAtMs < PROGRESS_EVERY_MS) return
    saidAtMs = context.now()
    context.say(`${replayed} sent back so far`)
  }
}

function empty(): ReplayResult {
  return { replayed: 0, alreadyReplayed: 0, byClass: new Map(), failed: [] }
}

function isEmpty({ replayed, alreadyReplayed, failed }: ReplayResult): boolean {
  return replayed === 0 && alreadyReplayed === 0 && failed.length === 0
}
