import { expect, it } from 'vitest'
import { TokenBucket } from './token-bucket.js'

it('holds a minute’s worth, and says how long until more fits', () => {
  const bucket = new TokenBucket(60, 0)
  expect(bucket.waitMs(60, 0)).toBe(0)
  bucket.take(60, 0)
  expect(bucket.waitMs(1, 0)).toBe(1_000)
  expect(bucket.waitMs(10, 4_000)).toBe(6_000)
  expect(bucket.waitMs(10, 10_000)).toBe(0)
})

it('never holds more than a minute’s worth', () => {
  const bucket = new TokenBucket(60, 0)
  bucket.take(10, 3_600_000)
  bucket.giveBack(50, 3_600_000)
  bucket.take(60, 3_600_000)
  expect(bucket.waitMs(1, 3_600_000)).toBe(1_000)
})

it('what is larger than the whole bucket never fits', () => {
  expect(new TokenBucket(60, 0).waitMs(61, 0)).toBe(Infinity)
})

it('what was used stays used under another rate', () => {
  const bucket = new TokenBucket(60, 0)
  bucket.take(30, 0)
  bucket.resize(120, 0)
  expect(bucket.waitMs(90, 0)).toBe(0)
  expect(bucket.waitMs(92, 0)).toBe(1_000)
  bucket.resize(20, 0)
  expect(bucket.waitMs(10, 0)).toBe(60_000)
})

it('a clock that stands still or goes back adds nothing', () => {
  const bucket = new TokenBucket(60, 10_000)
  bucket.take(60, 10_000)
  expect(bucket.waitMs(1, 5_000)).toBe(1_000)
  expect(bucket.waitMs(1, 10_000)).toBe(1_000)
})
