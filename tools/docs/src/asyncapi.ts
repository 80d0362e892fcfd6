/**
 * The AsyncAPI document of the public topics. It describes Plateau, so its operations send; a consumer's document would
 * receive from the same channels.
 */
import { stringify } from 'yaml'
import type { TopicSpec } from '@plateau/contracts'
import type { Product } from './products.js'
import type { Sample } from './sample.js'
import { commentOf, type Schema } from './schema.js'

const BINDING_VERSION = '0.5.0'

export function asyncapiDocument(
  products: readonly Product[],
  schema: Schema,
  sampleOf: (slug: string) => Sample,
): string {
  const each = <T>(build: (product: Product) => T): Record<string, T> =>
    Object.fromEntries(products.map((product) => [camel(product.slug), build(product)]))

  const document = {
    asyncapi: '3.0.0',
    info: {
      title: 'Plateau public topics',
      version: '1.0.0',
      description:
        'What Plateau publishes about the draft models that it keeps improving. Delivery is at least once, in order per key; deduplicate by the header ce_id. docs/topics has a page for each topic.',
      license: { name: 'Apache-2.0' },
      tags: [{ name: 'speculative-decoding' }, { name: 'kafka' }],
    },
    defaultContentType: 'application/protobuf',
    servers: {
      cluster: {
        host: '{bootstrap}',
        protocol: 'kafka-secure',
        description: 'The Kafka cluster of one environment; topics have the same names in each.',
        variables: { bootstrap: { description: 'host:port of any broker, from whoever runs the cluster' } },
        security: [
          { $ref: '#/components/securitySchemes/scram' },
          { $ref: '#/components/securitySchemes/oauth' },
          { $ref: '#/components/securitySchemes/mtls' },
        ],
      },
      local: {
        host: 'localhost:9092',
        protocol: 'kafka',
        description: 'A broker on your own machine, as for the demo: no TLS, no passwords.',
      },
    },
    channels: each((product) => channel(product)),
    operations: Object.fromEntries(
      products.map(({ slug, topic }) => [
        `send${pascal(slug)}`,
        {
          action: 'send',
          summary: `${topic.owner} appends to ${topic.name}.`,
          channel: { $ref: `#/channels/${camel(slug)}` },
          messages: [{ $ref: `#/channels/${camel(slug)}/messages/${messageName(topic)}` }],
          bindings: { kafka: { bindingVersion: BINDING_VERSION } },
        },
      ]),
    ),
    components: {
      messages: Object.fromEntries(
        products.map((product) => [messageName(product.topic), message(product, schema, sampleOf(product.slug))]),
      ),
      schemas: { recordHeaders: RECORD_HEADERS },
      securitySchemes: {
        scram: { type: 'scramSha512', description: 'SASL_SSL with SCRAM-SHA-512.' },
        oauth: { type: 'oauth2', description: 'SASL_SSL with OAUTHBEARER.', flows: { clientCredentials: OAUTH_FLOW } },
        mtls: { type: 'X509', description: 'TLS with a client certificate.' },
      },
    },
  }
  const note = '# Generated from libs/contracts, proto/ and docs/topics/samples: do not edit; run `npm run gen:docs`.\n'
  return note + stringify(document, { lineWidth: 0, aliasDuplicateObjects: false })
}

const OAUTH_FLOW = { tokenUrl: 'https://identity.example/token', availableScopes: {} }

/** Every header is UTF-8 text. */
const RECORD_HEADERS = {
  type: 'object',
  required: ['ce_specversion', 'ce_id', 'ce_source', 'ce_type', 'ce_time', 'content-type', 'x-proto-message'],
  properties: {
    ce_specversion: { type: 'string', const: '1.0' },
    ce_id: { type: 'string', minLength: 1, description: 'The same on every redelivery: deduplicate by it.' },
    ce_source: { type: 'string', minLength: 1, description: 'Who produced the record.' },
    ce_type: { type: 'string', description: 'CloudEvents type.' },
    ce_time: { type: 'string', format: 'date-time', description: 'When it happened.' },
    ce_subject: { type: 'string', description: 'What it is about: the record key.' },
    ce_dataschema: { type: 'string', format: 'uri', description: 'The message; never changes for a major version.' },
    'content-type': { type: 'string', const: 'application/protobuf' },
    'x-proto-message': { type: 'string', description: 'Full name of the Protobuf message.' },
    traceparent: {
      type: 'string',
      pattern: '^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$',
      description: 'W3C trace context of the work that led to the record; absent when it was not traced.',
    },
  },
}

function channel({ slug, topic, title, purpose }: Product): object {
  return {
    address: topic.name,
    title,
    description: `${purpose} The page for people: docs/topics/${slug}.md.`,
    messages: { [messageName(topic)]: { $ref: `#/components/messages/${messageName(topic)}` } },
    bindings: {
      kafka: {
        topic: topic.name,
        partitions: topic.partitions,
        replicas: topic.replication,
        topicConfiguration: {
          'cleanup.policy': topic.cleanup.split(','),
          'retention.ms': topic.retentionMs,
          'retention.bytes': topic.retentionBytes,
          'max.message.bytes': topic.maxRecordBytes,
        },
        bindingVersion: BINDING_VERSION,
      },
    },
  }
}

function message({ slug, topic, idForm, keyField }: Product, schema: Schema, sample: Sample): object {
  const descriptor = schema.message(topic.messageType)
  return {
    name: topic.messageType,
    title: messageName(topic),
    summary: commentOf(descriptor),
    description: `Declared in proto/${topic.schema.file}, compiled in docs/plateau.binpb. Deduplicate by ce_id: ${idForm.replaceAll('`', '')}.`,
    contentType: 'application/protobuf',
    headers: { $ref: '#/components/schemas/recordHeaders' },
    // Word for word what proto/ declares, cut down to this message, as a document must not need files beside it.
    payload: {
      schemaFormat: 'application/vnd.google.protobuf;version=3',
      schema: schema.standalone(descriptor),
    },
    examples: [{ name: `${slug}Headers`, summary: 'Headers of a recorded record.', headers: sample.headers }],
    bindings: {
      kafka: {
        key: { type: 'string', minLength: 1, description: `${topic.key}, UTF-8: ${keyField} of the message.` },
        bindingVersion: BINDING_VERSION,
      },
    },
  }
}

function messageName(topic: TopicSpec): string {
  return topic.messageType.split('.').at(-1)!
}

function camel(slug: string): string {
  return slug.replaceAll(/-(.)/g, (_, letter: string) => letter.toUpperCase())
}

function pascal(slug: string): string {
  const name = camel(slug)
  return name.charAt(0).toUpperCase() + name.slice(1)
}
