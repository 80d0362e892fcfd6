/** One topic's data contract in the Open Data Contract Standard, v3.1.0. */
import { ScalarType, type DescField, type DescMessage } from '@bufbuild/protobuf'
import { stringify } from 'yaml'
import type { Product } from './products.js'
import { commentOf, elementTypeOf, enumValueComments, typeOf, type Schema } from './schema.js'

export function dataContract(product: Product, schema: Schema): string {
  const { slug, title, topic, purpose, usage, limitations, idForm, rules } = product
  const message = schema.message(topic.messageType)
  const document = {
    apiVersion: 'v3.1.0',
    kind: 'DataContract',
    id: topic.name,
    name: title,
    version: '1.0.0',
    status: 'active',
    domain: 'plateau',
    dataProduct: slug,
    description: {
      purpose,
      usage,
      limitations,
    },
    authoritativeDefinitions: [
      { type: 'implementation', url: `../../proto/${topic.schema.file}`, description: 'The Protobuf declaration.' },
      { type: 'canonical', url: `../topics/${slug}.md`, description: 'The page for people.' },
      { type: 'implementation', url: '../asyncapi.yaml', description: 'Channel, headers and bindings.' },
    ],
    servers: [
      {
        server: 'kafka',
        type: 'kafka',
        host: '${PLATEAU_KAFKA_BOOTSTRAP}',
        format: 'protobuf',
        description: 'Any broker of the environment, host:port. Topics have the same names in every environment.',
      },
    ],
    schema: [
      {
        name: message.name,
        physicalName: topic.name,
        physicalType: 'topic',
        logicalType: 'object',
        description: commentOf(message),
        properties: message.fields.map((field) => property(field, product.keyField)),
        quality: rules.map((rule) => ({
          name: rule.name,
          type: 'text',
          dimension: rule.dimension,
          description: rule.description,
        })),
        customProperties: [
          { property: 'partitions', value: topic.partitions },
          { property: 'recordKey', value: topic.key },
          { property: 'deduplicationKey', value: `header ce_id: ${idForm.replaceAll('`', '')}` },
          { property: 'maxRecordBytes', value: topic.maxRecordBytes },
          { property: 'cleanupPolicy', value: topic.cleanup },
        ],
      },
    ],
    team: {
      name: topic.owner,
      description: writers(topic.owner),
    },
    roles: [
      {
        role: `${slug}-reader`,
        access: 'read',
        description: 'READ and DESCRIBE on the topic, READ on your own consumer group.',
      },
    ],
    support: [
      {
        channel: 'plateau-issues',
        tool: 'ticket',
        scope: 'issues',
        description: 'The issue tracker of the Plateau repository.',
      },
      {
        channel: 'plateau-announcements',
        tool: 'other',
        scope: 'announcements',
        description: 'docs/topics/README.md, section Evolution: deprecations stand there at least 90 days ahead.',
      },
    ],
    slaProperties: [
      {
        property: 'freshness',
        value: product.freshness.seconds,
        unit: 's',
        element: `${message.name}.${product.freshness.of}`,
        driver: 'operational',
        description: 'From that time until the record is in the topic, while its owner and the log are up.',
      },
      {
        property: 'retention',
        value: topic.retentionMs < 0 ? 'unlimited' : topic.retentionMs / 1000,
        ...(topic.retentionMs < 0 ? {} : { unit: 's' }),
        description:
          topic.cleanup === 'compact'
            ? "Each key's newest record is kept for ever."
            : `Or ${topic.retentionBytes} bytes a partition, whichever is reached first.`,
      },
      { property: 'deprecationNotice', value: 90, unit: 'd', description: 'Before a major version of the topic ends.' },
    ],
  }
  const note = '# Generated from libs/contracts and proto/: do not edit; run `npm run gen:docs`.\n'
  return note + stringify(document, { lineWidth: 0, aliasDuplicateObjects: false })
}

function writers(owner: string): string {
  const services = owner.split(', ')
  if (services.length === 1) return `The service ${owner} is the only writer; its maintainers own the contract.`
  return `The services ${services.join(' and ')} are the only writers; their maintainers own the contract.`
}

function property(field: DescField, keyField?: string): object {
  const common = {
    name: field.name,
    physicalType: typeOf(field),
    description: describe(field),
    // proto3 without `optional`: a field that was not sent reads as its default, never as null.
    required: field.fieldKind !== 'message' && field.fieldKind !== 'list',
    ...(field.name === keyField ? { partitioned: true, partitionKeyPosition: 1 } : {}),
  }
  if (field.fieldKind === 'list') {
    return { ...common, logicalType: 'array', items: { ...element(field), physicalType: elementTypeOf(field) } }
  }
  return { ...common, ...element(field) }
}

function element(field: DescField): { logicalType: string; properties?: object[] } {
  if (field.message) return { logicalType: 'object', properties: nested(field.message) }
  if (field.enum) return { logicalType: 'string' }
  return { logicalType: logicalTypes[field.scalar!] ?? refuse(field) }
}

const nested = (message: DescMessage): object[] => message.fields.map((field) => property(field))

const logicalTypes: Partial<Record<ScalarType, string>> = {
  [ScalarType.STRING]: 'string',
  [ScalarType.BOOL]: 'boolean',
  [ScalarType.FLOAT]: 'number',
  [ScalarType.DOUBLE]: 'number',
  [ScalarType.UINT32]: 'integer',
  [ScalarType.UINT64]: 'integer',
  [ScalarType.INT32]: 'integer',
  [ScalarType.INT64]: 'integer',
}

function refuse(field: DescField): never {
  throw new Error(
    `${field.parent.typeName}.${field.name}: the standard has no logical type for ${elementTypeOf(field)}`,
  )
}

function describe(field: DescField): string {
  const comment = commentOf(field)
  if (comment === '') throw new Error(`${field.parent.typeName}.${field.name} has no comment in its proto file`)
  if (!field.enum) return comment
  const values = enumValueComments(field.enum).map((value) => `${value.name}: ${value.comment || 'not set.'}`)
  return `${comment} One of ${values.join(' ')}`
}
