import { rollout, serving } from '@plateau/contracts'
import { describe, expect, it } from 'vitest'
import { orderCallers, servingCallers } from './callers.js'

const pathsOf = (definition: Readonly<Record<string, { readonly path: string }>>): string[] =>
  Object.values(definition)
    .map(({ path }) => path)
    .toSorted()

describe('who may call', () => {
  it('is said of every method', () => {
    expect(Object.keys(servingCallers).toSorted()).toEqual(pathsOf(serving.ServingServiceService))
    expect(Object.keys(orderCallers).toSorted()).toEqual(pathsOf(rollout.RolloutServiceService))
  })

  it('is an operator where orders are given, and nobody else', () => {
    for (const callers of Object.values(orderCallers)) expect(callers).toEqual(['operator'])
  })
})
