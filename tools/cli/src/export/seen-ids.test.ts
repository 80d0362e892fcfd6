import { expect, test } from 'vitest'
import { SeenIds } from './seen-ids.js'

test('an id is new once, as long as it is among the newest', () => {
  const seen = new SeenIds(2)
  expect(['a', 'a', 'b', 'c'].map((id) => seen.add(id))).toEqual([true, false, true, true])
  // a was the oldest of three.
  expect(['b', 'c', 'a'].map((id) => seen.add(id))).toEqual([false, false, true])
})
