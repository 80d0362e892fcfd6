import { expect, test } from 'vitest'
import { joinResults } from './results.js'
import { madeArm, madeArms, madeResults } from './testing.js'

const file = (name: string, ...lines: object[]) => ({
  name,
  text: lines.map((line) => `${JSON.stringify(line)}\n`).join(''),
})
const header = madeResults([]).headers.get('demo')!

test('arms of several files stand beside each other, under their dataset', () => {
  const { headers, arms } = madeResults(madeArms)
  expect([...headers.keys()]).toEqual(['demo'])
  expect(arms.length).toBe(madeArms.length)
})

test('an arm twice, other windows or another recording are refused', () => {
  const arm = madeArm(madeArms[0]!)
  expect(() => joinResults([file('a', header, arm), file('b', header, arm)])).toThrow('is there twice')
  expect(() => joinResults([file('a', header, { ...arm, windowAlpha: [1] })])).toThrow('judged on 1 windows, not on 40')
  const other = { ...header, dataset: { ...header.dataset, fingerprint: 'e' } }
  expect(() => joinResults([file('a', header), file('b', other)])).toThrow('b: recorded from other demo windows')
})
