import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { groups } from '@plateau/contracts'
import { leasesTopic } from '@plateau/event-log-kafka'
import { describe, expect, test } from 'vitest'
import { hasProgram } from '../programs.js'
import { render } from './helm.js'
import { readKafkaRights, rightsText } from './kafka-rights.js'
import { kafkaTopics, kafkaTopicsFile } from './kafka-topics.js'
import { ofKind } from './kubernetes-objects.js'
import { chartDirectory, repository } from '../paths.js'

const rights = readKafkaRights()
const everyRight = Object.entries(rights).flatMap(([service, list]) => list.map((right) => ({ service, ...right })))

test("the chart's topics are the registry's, with the settings that the services would give them", () => {
  expect(readFileSync(join(chartDirectory, 'files/kafka-topics.yaml'), 'utf8')).toBe(kafkaTopicsFile())
})

test('rights name topics and groups that are there', () => {
  const names = kafkaTopics.map(({ name }) => name)
  const topics = everyRight.filter(({ type }) => type === 'topic').map(({ name }) => name)
  expect(topics.filter((name) => !names.includes(name))).toEqual([])
  const readers = everyRight.filter(({ type }) => type === 'group').map(({ name }) => name)
  expect(readers.toSorted()).toEqual([groups.scorer, 'plateau.lease.', groups.trainer].toSorted())
})

test("who owns a topic may write to it, and besides serving's and the scorer's common topic nobody else", () => {
  for (const topic of kafkaTopics) {
    const writers = everyRight
      .filter(({ type, name, operations }) => type === 'topic' && name === topic.name && operations.includes('Write'))
      .map(({ service }) => service)
    const isTool = topic.owner === 'plateau tenants forget'
    const reader =
      kafkaTopics.find(({ name }) => topic.name.startsWith(`${name}.`)) === undefined ? undefined : topic.name
    const owners = isTool
      ? []
      : reader?.includes(groups.scorer)
        ? ['flatness-scorer']
        : reader?.includes(groups.trainer) || topic.name === leasesTopic.name
          ? ['trainer']
          : topic.owner.split(', ')
    expect({ topic: topic.name, writers: writers.toSorted() }).toEqual({
      topic: topic.name,
      writers: owners.toSorted(),
    })
  }
})

test('nobody has a right to change topics, or to anything by a wildcard', () => {
  const allowed = ['Describe', 'DescribeConfigs', 'Read', 'Write']
  expect(everyRight.filter(({ operations }) => operations.some((operation) => !allowed.includes(operation)))).toEqual(
    [],
  )
  expect(everyRight.filter(({ name, type, pattern }) => name === '*' || (pattern && type === 'topic'))).toEqual([])
})

test("deploy/README.md's table of rights is the chart's", () => {
  const readme = readFileSync(join(repository, 'deploy/README.md'), 'utf8')
  for (const [service, list] of Object.entries(rights)) expect(readme).toContain(`| ${service} | ${rightsText(list)} |`)
})

describe.skipIf(!hasProgram('helm'))('Strimzi', () => {
  test('users have exactly these rights', () => {
    interface UserSpec {
      authorization: { acls: { resource: { type: string; name: string; patternType: string }; operations: string[] }[] }
    }
    const users = ofKind<UserSpec>(render({ examples: ['strimzi'] }), 'KafkaUser')
    const found = Object.fromEntries(
      users.map(({ metadata, spec }) => [
        metadata.name.replace(/^plateau-/, ''),
        spec.authorization.acls.map(({ resource: { type, name, patternType }, operations }) => ({
          type,
          name,
          ...(patternType === 'literal' ? {} : { pattern: patternType }),
          operations,
        })),
      ]),
    )
    expect(found).toEqual(rights)
  })

  test('a small cluster has as many copies as brokers', () => {
    interface TopicSpec {
      replicas: number
      config: Record<string, string>
    }
    const objects = render({ examples: ['strimzi'], set: ['strimzi.nodes.replicas=1'] })
    for (const { spec } of ofKind<TopicSpec>(objects, 'KafkaTopic')) {
      expect([spec.replicas, spec.config['min.insync.replicas']]).toEqual([1, '1'])
    }
    const three = ofKind<TopicSpec>(render({ examples: ['strimzi'] }), 'KafkaTopic')
    expect(three.map(({ metadata }) => metadata.name).toSorted()).toEqual(
      kafkaTopics.map(({ name }) => name).toSorted(),
    )
    for (const { spec } of three) expect([spec.replicas, spec.config['min.insync.replicas']]).toEqual([3, '2'])
  })
})
