import { allTopics, type TopicSpec } from '@plateau/contracts'
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))
const readme = readFileSync(`${root}README.md`, 'utf8')

/** Cells of the table rows that begin with a topic name in backquotes, which may be a link. */
const rows = readme
  .split('\n')
  .filter((line) => /^\| \[?`(public|internal)\.plateau\./.test(line))
  .map((line) => line.split('|').map((cell) => cell.trim()))
const withoutMarks = (cell: string): string => cell.replace(/^\[(.*)\]\(.*\)$/, '$1').replaceAll('`', '')

test('the README lists every topic with what the registry says of it', () => {
  const listed = rows.map((cells) => {
    const [, name, key, message, cleanup, owner, partitions, kept, largest] = cells.map(withoutMarks)
    return {
      name,
      key,
      message: `plateau.stream.v1.${message}`,
      cleanup,
      owner,
      partitions: Number(partitions),
      kept,
      largest,
    }
  })
  const declared = allTopics.map((topic) => ({
    name: topic.name,
    key: topic.key,
    message: topic.messageType,
    cleanup: topic.cleanup,
    owner: topic.owner,
    partitions: topic.partitions,
    kept: kept(topic),
    largest: `${topic.maxRecordBytes >= 2 ** 20 ? `${topic.maxRecordBytes / 2 ** 20} MiB` : `${topic.maxRecordBytes / 1024} KiB`}`,
  }))
  expect(listed).toEqual(declared)
})

test('every topic has the three copies that the README speaks of', () => {
  expect(readme).toContain('three copies, and a write counts once two have\nit')
  expect(allTopics.map((topic) => [topic.replication, topic.minInSyncReplicas])).toEqual(allTopics.map(() => [3, 2]))
})

test('every public topic has a page, a data contract and a recorded record', () => {
  const links = rows.flatMap(([, name]) => /\]\((docs\/topics\/(.*)\.md)\)$/.exec(name!)?.[2] ?? [])
  const isPublic = ({ name }: TopicSpec): boolean => name.startsWith('public.')
  expect(links).toEqual(allTopics.filter(isPublic).map(({ name }) => name.split('.')[2]))
  const files = links.flatMap((slug) => [
    `docs/topics/${slug}.md`,
    `docs/contracts/${slug}.odcs.yaml`,
    `docs/topics/samples/${slug}.json`,
  ])
  expect(files.filter((file) => !existsSync(`${root}${file}`))).toEqual([])
})

function kept({ retentionMs }: TopicSpec): string {
  if (retentionMs < 0) return 'for ever'
  const hours = retentionMs / 3_600_000
  return hours < 24 ? `${hours} hours` : `${hours / 24} days`
}
