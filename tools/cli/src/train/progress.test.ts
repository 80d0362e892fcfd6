import { expect, test } from 'vitest'
import { lineProgress } from './progress.js'

test('a stage that is over is told once, however often it reports; the next begins anew', () => {
  const lines: string[] = []
  const progress = lineProgress(
    (line) => lines.push(line),
    () => 1_000_000,
  )
  for (const done of [10, 100, 100, 100]) progress.at('windows', done, 100)
  for (const done of [5, 50]) progress.at('closed form', done, 50)
  for (const done of [5, 50]) progress.at('closed form', done, 50)
  expect(lines).toEqual([
    'windows: 10 of 100 positions',
    'windows: 100 of 100 positions',
    'closed form: 5 of 50 positions',
    'closed form: 50 of 50 positions',
    'closed form: 5 of 50 positions',
    'closed form: 50 of 50 positions',
  ])
})
