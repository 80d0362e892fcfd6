import { allTopics, deadLetterTopics, type TopicSpec } from '@plateau/contracts'
import type { TopicDifference } from '@plateau/event-log'
import { command, type Context, type ExitCode } from '../command.js'
import { flag } from '../option.js'
import { protoText, purposeOf } from '../proto-files.js'
import { bytes, duration, table } from '../table.js'

const declared: readonly TopicSpec[] = [...allTopics, ...deadLetterTopics]

export const topicsList = command({
  name: 'topics list',
  summary: 'the topics that are declared: settings, owner, purpose',
  details: 'Says what this build declares; it opens no event log. `topics diff` compares it with one.',
  options: {},
  run: async (context) => {
    const purposes = new Map(allTopics.map((topic) => [topic.name, purposeOf(topic, protoText(topic))]))
    const rows = declared.map((topic) => ({ topic, purpose: purposes.get(topic.name) ?? deadLetterPurpose(topic) }))
    context.report({
      json: rows.map(({ topic, purpose }) => ({ ...topic, codec: undefined, purpose })),
      text: table(
        ['topic', 'partitions', 'replicas', 'cleanup', 'keeps', 'at most', 'record', 'owner', 'key', 'purpose'],
        rows.map(({ topic, purpose }) => [
          topic.name,
          topic.partitions,
          `${topic.replication}, min ${topic.minInSyncReplicas}`,
          topic.cleanup,
          topic.retentionMs < 0 ? 'for ever' : duration(topic.retentionMs),
          topic.retentionBytes < 0 ? 'any size' : bytes(topic.retentionBytes),
          bytes(topic.maxRecordBytes),
          topic.owner,
          topic.key,
          purpose,
        ]),
      ),
    })
    return 0
  },
})

export const topicsDiff = command({
  name: 'topics diff',
  summary: 'how the event log differs from what is declared; changes nothing',
  details: [
    'kind: missing = not there; incompatible = a service would lose, split or misread records, only a',
    'person can mend it; tunable = works, but is not what was declared.',
    'Exit code 1 when there are differences.',
  ].join('\n'),
  options: {},
  run: async (context) => {
    const log = await context.openLog()
    const differences = await log.compareTopics([...declared, ...log.ownTopics])
    context.report({ json: differences, text: differences.length === 0 ? inOrder : differenceTable(differences) })
    return differences.length === 0 ? 0 : 1
  },
})

export const topicsApply = command({
  name: 'topics apply',
  summary: 'create missing topics and set what may be changed',
  details: [
    'What is incompatible is named and left as it is: a partition count, for example, is part of the',
    'contract. Exit code 1 when such a difference remains. With --dry-run it says what it would do.',
  ].join('\n'),
  options: { 'dry-run': flag('say what would be done, and do nothing') },
  run: async (context, { 'dry-run': isDryRun }) => {
    // A dry run may not even create the log's directory.
    const log = await context.openLog({ create: !isDryRun })
    const specs = [...declared, ...log.ownTopics]
    const differences = await (isDryRun ? log.compareTopics(specs) : log.applyTopics(specs))
    return reportApplied(context, differences, isDryRun)
  },
})

function reportApplied(context: Context, differences: readonly TopicDifference[], isDryRun: boolean): ExitCode {
  const left = differences.filter(({ kind }) => kind === 'incompatible')
  const done = differences.filter(({ kind }) => kind !== 'incompatible')
  const text = [
    ...(done.length === 0 ? [] : [`${isDryRun ? 'would apply' : 'applied'}:\n`, differenceTable(done)]),
    ...(left.length === 0 ? [] : ['incompatible, left as they are:\n', differenceTable(left)]),
    ...(differences.length === 0 ? [inOrder] : []),
  ]
  context.report({
    json: { applied: isDryRun ? [] : done, wouldApply: isDryRun ? done : [], left },
    text: text.join(''),
  })
  return left.length === 0 ? 0 : 1
}

const inOrder = 'every topic is as declared\n'

function differenceTable(differences: readonly TopicDifference[]): string {
  return table(
    ['topic', 'setting', 'declared', 'actual', 'kind'],
    differences.map(({ topic, setting, declared, actual, kind }) => [topic, setting, declared, actual, kind]),
  )
}

function deadLetterPurpose(topic: TopicSpec): string {
  return `What ${topic.name.slice(sourceName(topic).length + 1, -'.dlq'.length)} could not use of ${sourceName(topic)}.`
}

function sourceName(deadLetters: TopicSpec): string {
  return allTopics.find(({ name }) => deadLetters.name.startsWith(`${name}.`))!.name
}
