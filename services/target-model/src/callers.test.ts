import { target } from '@plateau/contracts'
import { expect, it } from 'vitest'
import { targetCallers } from './callers.js'

it('every method says who may call it', () => {
  const paths = Object.values(target.TargetServiceService).map(({ path }) => path)
  expect(Object.keys(targetCallers).toSorted()).toEqual(paths.toSorted())
})
