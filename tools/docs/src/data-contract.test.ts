import { Ajv2019 } from 'ajv/dist/2019.js'
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { products } from './products.js'
import { commentOf } from './schema.js'
import { committedYaml, schema, type Yaml } from './testing.js'

const standard = JSON.parse(
  readFileSync(new URL('../odcs/odcs-json-schema-v3.1.0.json', import.meta.url), 'utf8'),
) as object
// The standard's schema uses formats and keywords that strict mode calls unknown.
const isContract = new Ajv2019({ strict: false, validateFormats: false, allErrors: true }).compile(standard)

const contractOf = (slug: string) => committedYaml(`docs/contracts/${slug}.odcs.yaml`)

test('every public topic has a contract that the standard (ODCS 3.1.0) accepts', () => {
  for (const { slug } of products) {
    isContract(contractOf(slug))
    expect({ slug, errors: isContract.errors ?? [] }).toEqual({ slug, errors: [] })
  }
})

test('a contract describes every field of its message in the words of the proto file', () => {
  for (const { slug, topic } of products) {
    const described = contractOf(slug)['schema']![0]!['properties'] as unknown as {
      name: string
      description: string
    }[]
    const { fields } = schema.message(topic.messageType)
    expect(described.map(({ name }) => name)).toEqual(fields.map(({ name }) => name))
    for (const [i, field] of fields.entries()) {
      const comment = commentOf(field)
      expect(comment.length).toBeGreaterThan(3)
      expect(described[i]!.description.startsWith(comment)).toBe(true)
    }
  }
})

test('a damaged contract is refused', () => {
  const table = (contract: Yaml) => contract['schema']![0]!
  const damages: Record<string, (contract: Yaml) => void> = {
    'no id': (c) => Object.assign(c, { id: undefined }),
    'another kind': (c) => Object.assign(c, { kind: 'Contract' }),
    'another version of the standard': (c) => Object.assign(c, { apiVersion: 'v9.0.0' }),
    'a logical type that does not exist': (c) => Object.assign(table(c)['properties']![0]!, { logicalType: 'tensor' }),
    'a property without a name': (c) => Object.assign(table(c)['properties']![1]!, { name: undefined }),
    'an unknown quality dimension': (c) => Object.assign(table(c)['quality']![0]!, { dimension: 'beauty' }),
    'a support channel without a name': (c) => Object.assign(c['support']![0]!, { channel: undefined }),
    'an agreement without a value': (c) => Object.assign(c['slaProperties']![0]!, { value: undefined }),
    'an unknown section': (c) => Object.assign(c, { partitions: 4 }),
  }
  const undetected = Object.entries(damages).filter(([, damage]) => {
    const contract = contractOf('scored-tokens')
    damage(contract)
    return isContract(JSON.parse(JSON.stringify(contract)))
  })
  expect(undetected.map(([name]) => name)).toEqual([])
})
