import { PlateauError } from '@plateau/contracts'
import { expect, test } from 'vitest'
import { deadLetterRecord } from './dead-letter.js'

const record = {
  topic: 'internal.plateau.token-distributions.v1',
  partition: 3,
  offset: 41,
  key: 'sample-ü',
  value: new Uint8Array([1, 2, 3]),
  headers: { ce_id: 'a', traceparent: '00-1' },
  timestampMs: 1234,
}

test('a dead letter keeps key, value and headers untouched and says where it was and why it failed', () => {
  const dead = deadLetterRecord(record, 'scorer', new PlateauError('BAD_WINDOW', 'ids are missing'), 0)
  expect(dead.key).toBe(record.key)
  expect(dead.value).toBe(record.value)
  expect(dead.headers).toEqual({
    ...record.headers,
    'x-dlq-original-topic': record.topic,
    'x-dlq-original-partition': '3',
    'x-dlq-original-offset': '41',
    'x-dlq-original-timestamp': '1234',
    'x-dlq-group': 'scorer',
    'x-dlq-error-class': 'BAD_WINDOW',
    'x-dlq-error-message': 'ids are missing',
    'x-dlq-attempts': '1',
    'x-dlq-failed-at': '1970-01-01T00:00:00.000Z',
  })
})

test('a thrown non-error and a very long message still make a dead letter', () => {
  const dead = deadLetterRecord(record, 'scorer', 'x'.repeat(5000), 0)
  expect(dead.headers['x-dlq-error-class']).toBe('string')
  expect(dead.headers['x-dlq-error-message']).toHaveLength(1024)
})

test('a record that was replayed and failed again counts on', () => {
  const again = (attempts: string) =>
    deadLetterRecord({ ...record, headers: { ...record.headers, 'x-dlq-attempts': attempts } }, 'scorer', 'no', 0)
  expect(again('1').headers['x-dlq-attempts']).toBe('2')
  expect(again('many').headers['x-dlq-attempts']).toBe('1')
})

test('a tombstone stays a tombstone', () => {
  expect(deadLetterRecord({ ...record, value: null }, 'scorer', new TypeError('no'), 0).value).toBeNull()
})
