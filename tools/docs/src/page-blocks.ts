/** Tables and examples of the topic pages, as Markdown. */
import type { DescEnum, DescMessage } from '@bufbuild/protobuf'
import { dataSchema, deadLetterTopics, type TopicSpec } from '@plateau/contracts'
import type { Product } from './products.js'
import { readable, type Sample } from './sample.js'
import { commentOf, enumValueComments, typeOf, type Schema } from './schema.js'
import { table } from './table.js'
import { bytesText, durationText } from './units.js'

export function pageBlocks(product: Product, schema: Schema, sample: Sample): Map<string, string> {
  const message = schema.message(product.topic.messageType)
  return new Map([
    ['contract', contractTable(product)],
    ['message', messageTables(message)],
    ['headers', headerTable(product.topic, sample)],
    ['sample', sampleText(message, schema, sample)],
    ['quality', product.rules.map((rule) => `- ${rule.description}`).join('\n')],
  ])
}

export function indexBlocks(products: readonly Product[]): Map<string, string> {
  const rows = products.map(({ slug, topic, purpose }) => [`[\`${topic.name}\`](${slug}.md)`, topic.owner, purpose])
  return new Map([['public', table(['topic', 'owner', 'what it says'], rows)]])
}

export function internalBlocks(topics: readonly TopicSpec[]): Map<string, string> {
  const head = ['topic', 'owner', 'key', 'message', 'partitions', 'cleanup', 'kept', 'largest record']
  const row = (topic: TopicSpec): string[] => [
    `\`${topic.name}\``,
    topic.owner,
    topic.key,
    `\`${topic.messageType.split('.').at(-1)}\``,
    String(topic.partitions),
    topic.cleanup,
    retention(topic),
    bytesText(topic.maxRecordBytes),
  ]
  return new Map([
    ['internal', table(head, topics.filter((topic) => !isPublic(topic)).map(row))],
    ['dead-letters', table(head, deadLetterTopics.map(row))],
  ])
}

const isPublic = (topic: TopicSpec): boolean => topic.name.startsWith('public.')

function contractTable({ topic, idForm, freshness, keyField, slug }: Product): string {
  const copies = `${topic.replication}; a write counts once ${topic.minInSyncReplicas} have it`
  return table(
    ['', ''],
    [
      ['topic', `\`${topic.name}\``],
      ['owner', topic.owner],
      ['key', `${topic.key} (\`${keyField}\` of the message)`],
      [
        'partitions',
        `${topic.partitions}, for as long as the topic lives; the partition is Kafka's murmur2 of the key`,
      ],
      ['order', 'records of one key, in the order in which they were produced'],
      ['delivery', 'at least once'],
      ['deduplicate by', `\`ce_id\`: ${idForm}`],
      ['copies', copies],
      ['cleanup', `\`${topic.cleanup}\``],
      ['kept', retention(topic)],
      ['largest record', `${bytesText(topic.maxRecordBytes)}, key and value together`],
      [
        'fresh',
        `in the topic within ${freshness.seconds} s of \`${freshness.of}\`, while its owner and the log are up`,
      ],
      [
        'value',
        `Protobuf \`${topic.messageType}\`, declared in [${topic.schema.file}](../../proto/${topic.schema.file}) (message ${topic.schema.messageIndex} of the file, from 0)`,
      ],
      [
        'machine-readable',
        `[data contract](../contracts/${slug}.odcs.yaml), [AsyncAPI](../asyncapi.yaml), [buf image](../plateau.binpb)`,
      ],
    ],
  )
}

function retention(topic: TopicSpec): string {
  const size = `${bytesText(topic.retentionBytes)} a partition`
  if (topic.cleanup === 'compact') return "each key's newest record for ever, older ones until compaction"
  const age = `${durationText(topic.retentionMs)} or ${size}, whichever is reached first`
  return topic.cleanup === 'delete'
    ? age
    : `${age}; before that, each key's newest record and older ones until compaction`
}

function messageTables(root: DescMessage): string {
  const messages: DescMessage[] = []
  const enums = new Set<DescEnum>()
  const visit = (message: DescMessage): void => {
    if (messages.includes(message)) return
    messages.push(message)
    for (const field of message.fields) {
      if (field.enum) enums.add(field.enum)
      if (field.message) visit(field.message)
    }
  }
  visit(root)
  const parts = messages.map((message) => {
    const rows = message.fields.map((field) => [
      `${field.number}`,
      `\`${field.name}\``,
      typeOf(field),
      commentOf(field),
    ])
    return `\`${message.name}\`\n\n${table(['number', 'field', 'type', 'meaning'], rows)}`
  })
  const enumParts = [...enums].map((declared) => {
    const rows = enumValueComments(declared).map(({ name, comment }) => [`\`${name}\``, comment || 'not set'])
    return `\`${declared.name}\`\n\n${table(['value', 'meaning'], rows)}`
  })
  return [...parts, ...enumParts].join('\n\n')
}

const HEADER_MEANINGS: Readonly<Record<string, string>> = {
  ce_specversion: 'CloudEvents 1.0, Kafka binding, binary mode',
  ce_id: 'the same on every redelivery: deduplicate by it',
  ce_source: 'who produced it',
  ce_type: 'CloudEvents type',
  ce_time: 'when it happened, RFC 3339, UTC',
  ce_subject: 'what it is about: the record key',
  ce_dataschema: 'the message: a URI that never changes for this major version',
  'content-type': 'how the value is encoded',
  'x-proto-message': 'full name of the Protobuf message',
  traceparent: 'W3C trace context of the work that led to the record; absent when it was not traced',
}

function headerTable(topic: TopicSpec, sample: Sample): string {
  if (sample.headers['ce_dataschema'] !== dataSchema(topic.messageType)) {
    throw new Error(`the sample of ${topic.name} has other headers than records have now: capture it again`)
  }
  const undocumented = Object.keys(sample.headers).filter((name) => !(name in HEADER_MEANINGS))
  if (undocumented.length > 0) throw new Error(`say what ${undocumented.join(', ')} means`)
  const rows = Object.entries(HEADER_MEANINGS).map(([name, meaning]) => {
    const example = sample.headers[name]
    return [`\`${name}\``, example === undefined ? '' : `\`${example}\``, meaning]
  })
  return table(['header', 'of the record below', 'meaning'], rows)
}

function sampleText(message: DescMessage, schema: Schema, sample: Sample): string {
  const bytes = Buffer.from(sample.value, 'base64')
  const json = readable(schema.json(message, bytes))
  return `Key \`${sample.key}\`, value of ${bytes.length} bytes, here as proto3 JSON:\n\n\`\`\`json\n${json}\n\`\`\``
}
