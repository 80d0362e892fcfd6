import { expect, test } from 'vitest'
import { readLag } from './lag.js'

const logOf = (earliest: number, next: number, committed: number) => ({
  offsets: async () => [{ partition: 0, earliest, next }],
  committed: async () => [{ partition: 0, offset: committed }],
})

test.each([
  ['a group in the middle', logOf(0, 10, 4), { records: 6, expired: 0 }],
  ['a group that never committed has all that is held before it', logOf(3, 10, -1), { records: 7, expired: 0 }],
  ['what expired unread is gone, not behind', logOf(6, 10, 4), { records: 4, expired: 2 }],
  ['a group at the end', logOf(0, 10, 10), { records: 0, expired: 0 }],
])('%s', async (_name, log, expected) => {
  expect(await readLag(log, 'group', 'topic')).toMatchObject([{ partition: 0, ...expected }])
})
