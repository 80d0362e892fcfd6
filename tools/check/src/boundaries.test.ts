import { expect, test } from 'vitest'
import { boundaryViolations } from './boundaries.ts'

const pkg = (name: string, layer: string, ...dependencies: string[]) => ({
  name,
  dependencies: Object.fromEntries(dependencies.map((d) => [d, '*'])),
  nx: { tags: [`layer:${layer}`] },
})

test('a domain package may not reach an adapter, nor anything outside', () => {
  const packages = [pkg('@plateau/a', 'domain', '@plateau/b', 'zod'), pkg('@plateau/b', 'adapter')]
  expect(boundaryViolations(packages)).toEqual([
    '@plateau/a (domain) must not depend on @plateau/b (adapter)',
    '@plateau/a (domain) must not depend on zod',
  ])
})

test('an outside technology has one door', () => {
  expect(boundaryViolations([pkg('@plateau/x', 'service', 'onnxruntime-node')])).toEqual([
    '@plateau/x must not depend on onnxruntime-node: only @plateau/inference may',
  ])
  expect(boundaryViolations([pkg('@plateau/inference', 'adapter', 'onnxruntime-node')])).toEqual([])
})

test('a package without a known layer is refused', () => {
  expect(boundaryViolations([pkg('@plateau/x', 'misc')])).toEqual(['@plateau/x: no known layer tag ("misc")'])
})
