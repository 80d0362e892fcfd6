import { allTopics } from '@plateau/contracts'
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8')

/** Cells of the table rows that begin with a topic name in backquotes. */
const rows = readme
  .split('\n')
  .filter((line) => /^\| `(public|internal)\.plateau\./.test(line))
  .map((line) => line.split('|').map((cell) => cell.trim().replaceAll('`', '')))

test('the README lists every topic, with its key, message, cleanup, owner and partitions', () => {
  const listed = rows.map(([, name, key, message, cleanup, owner, partitions]) => ({
    name,
    key,
    message: `plateau.stream.v1.${message}`,
    cleanup,
    owner,
    partitions: Number(partitions),
  }))
  const declared = allTopics.map((topic) => ({
    name: topic.name,
    key: topic.key,
    message: topic.messageType,
    cleanup: topic.cleanup,
    owner: topic.owner,
    partitions: topic.partitions,
  }))
  expect(listed).toEqual(declared)
})
