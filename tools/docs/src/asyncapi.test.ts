import { Parser } from '@asyncapi/parser'
import { ProtoBuffSchemaParser } from '@asyncapi/protobuf-schema-parser'
import { Ajv2019 } from 'ajv/dist/2019.js'
import { expect, test } from 'vitest'
import { stringify } from 'yaml'
import { sampleOf } from './documents.js'
import { products } from './products.js'
import { committedYaml, repository, schema, type Yaml } from './testing.js'

const path = 'docs/asyncapi.yaml'

/** AsyncAPI's own parser, which converts the Protobuf payloads as well. Severity 0 is an error. */
async function parse(text: string) {
  const parser = new Parser()
  parser.registerSchemaParser(ProtoBuffSchemaParser())
  const { document, diagnostics } = await parser.parse(text)
  return { document, errors: diagnostics.filter(({ severity }) => severity === 0).map(({ message }) => message) }
}

async function errorsAfter(damage: (document: Yaml) => void): Promise<string[]> {
  const document = committedYaml(path)
  damage(document)
  return (await parse(stringify(document))).errors
}

test('the committed document is valid AsyncAPI 3.0, and its payloads are valid Protobuf', async () => {
  const { document, errors } = await parse(repository.read(path))
  expect(errors).toEqual([])
  expect(document?.version()).toBe('3.0.0')
  expect(document?.channels().all()).toHaveLength(products.length)
})

test('channels, keys and topic settings are the registry', async () => {
  const { document } = await parse(repository.read(path))
  const described = document!
    .channels()
    .all()
    .map((channel) => channel.bindings().get('kafka')!.value<object>())
  expect(described).toEqual(
    products.map(({ topic }) => ({
      topic: topic.name,
      partitions: topic.partitions,
      replicas: topic.replication,
      topicConfiguration: {
        'cleanup.policy': topic.cleanup.split(','),
        'retention.ms': topic.retentionMs,
        'retention.bytes': topic.retentionBytes,
        'max.message.bytes': topic.maxRecordBytes,
      },
    })),
  )
})

test('a payload read by the parser has every field of the message', async () => {
  const { document } = await parse(repository.read(path))
  for (const { topic } of products) {
    const message = document!
      .allMessages()
      .all()
      .find((candidate) => candidate.name() === topic.messageType)
    const fields = schema.message(topic.messageType).fields.map((field) => field.name)
    expect(Object.keys(message!.payload()!.properties()!).toSorted()).toEqual(fields.toSorted())
  }
})

test('a damaged document is refused', async () => {
  const channel = (document: Yaml) => document['channels']!['scoredTokens']!
  const message = (document: Yaml) => document['components']!['messages']!['ScoredWindow']!
  const damages: Record<string, (document: Yaml) => void> = {
    'an operation on a channel that is not there': (d) => {
      Object.assign(d['operations']!['sendScoredTokens']!, { channel: { $ref: '#/channels/gone' } })
    },
    'an unknown action': (d) => Object.assign(d['operations']!['sendRollouts']!, { action: 'publish' }),
    'partitions that are no number': (d) => Object.assign(channel(d)['bindings']!['kafka']!, { partitions: 'four' }),
    'an unknown cleanup policy': (d) => {
      Object.assign(channel(d)['bindings']!['kafka']!['topicConfiguration']!, { 'cleanup.policy': ['shred'] })
    },
    'no title': (d) => Object.assign(d['info']!, { title: undefined }),
    'an unknown section': (d) => Object.assign(d, { topics: {} }),
    'a payload that is no Protobuf': (d) => {
      Object.assign(message(d)['payload']!, { schema: 'message Scored { repeated floaty x = ; }' })
    },
    'a payload with a message that is not declared': (d) => {
      Object.assign(message(d)['payload']!, { schema: 'syntax = "proto3"; message A { Missing b = 1; }' })
    },
  }
  const undetected: string[] = []
  for (const [name, damage] of Object.entries(damages)) {
    if ((await errorsAfter(damage)).length === 0) undetected.push(name)
  }
  expect(undetected).toEqual([])
})

test('recorded headers are what the headers schema says, and headers without an id are not', () => {
  const isHeaders = new Ajv2019({ strict: false, validateFormats: false }).compile(
    committedYaml(path)['components']!['schemas']!['recordHeaders']! as unknown as object,
  )
  for (const { slug } of products) {
    const { headers } = sampleOf(repository, slug)
    expect(isHeaders(headers)).toBe(true)
    const { ce_id, ...anonymous } = headers
    expect(ce_id).toBeTruthy()
    expect(isHeaders(anonymous)).toBe(false)
    expect(isHeaders({ ...headers, traceparent: 'ff' })).toBe(false)
  }
})
