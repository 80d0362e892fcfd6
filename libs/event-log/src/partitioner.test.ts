import { expect, test } from 'vitest'
import { murmur2, partitionOf } from './partitioner.js'

// From Apache Kafka's own UtilsTest.testMurmur2.
test.each([
  ['21', -973932308],
  ['foobar', -790332482],
  ['a-little-bit-long-string', -985981536],
  ['a-little-bit-longer-string', -1486304829],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
  ['abc', 479470107],
])('murmur2 of %s is what Kafka computes', (key, hash) => {
  expect(murmur2(Buffer.from(key))).toBe(hash)
})

test('every key has a partition in range, and the same one each time', () => {
  for (let i = 0; i < 1000; i++) {
    const partition = partitionOf(`sample-${i}`, 7)
    expect(partition).toBeGreaterThanOrEqual(0)
    expect(partition).toBeLessThan(7)
    expect(partitionOf(`sample-${i}`, 7)).toBe(partition)
  }
})
