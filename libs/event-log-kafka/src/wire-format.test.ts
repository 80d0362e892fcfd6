import { frameConfluent, topics } from '@plateau/contracts'
import { expect, test } from 'vitest'
import { wireFormat } from './wire-format.js'

const payload = Buffer.from([8, 1, 18, 2, 104, 105])
const { name, schema } = topics.scoredTokens

test('values of public topics are framed where the registry has a schema, and read back either way', () => {
  const wire = wireFormat({ kind: 'confluent', schemaIdOf: (topic) => (topic === name ? 42 : undefined) })
  const framed = wire.encode(name, payload)
  expect(framed).toEqual(frameConfluent(42, schema.messageIndex, payload))
  expect(wire.decode(name, framed)).toEqual(payload)
  expect(wire.decode(name, payload)).toEqual(payload)
  expect(wire.encode(topics.rollouts.name, payload)).toBe(payload)
})

test('values of other topics are nobody’s to touch', () => {
  const wire = wireFormat({ kind: 'confluent', schemaIdOf: () => 42 })
  const internal = topics.trainingWindows.name
  const looksFramed = Buffer.from([0, 0, 0, 0, 1, 0, 9])
  expect(wire.encode(internal, payload)).toBe(payload)
  expect(wire.decode(internal, looksFramed)).toBe(looksFramed)
})

test('a log that writes raw still reads what others framed', () => {
  const wire = wireFormat({ kind: 'raw' })
  expect(wire.encode(name, payload)).toBe(payload)
  expect(wire.decode(name, frameConfluent(1, schema.messageIndex, payload))).toEqual(payload)
})

test('what only begins like a frame is handed over as it is', () => {
  const broken = Buffer.from([0, 1])
  expect(wireFormat({ kind: 'raw' }).decode(name, broken)).toBe(broken)
})
