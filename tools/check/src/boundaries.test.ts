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

test('a development tool serves anyone’s tests, but runs only within tools and tests', () => {
  const devTool = pkg('@plateau/d', 'dev-tool')
  const inTests = { ...pkg('@plateau/a', 'adapter'), devDependencies: { '@plateau/d': '*' } }
  expect(boundaryViolations([devTool, inTests, pkg('@plateau/t', 'tool', '@plateau/d')])).toEqual([])
  expect(boundaryViolations([devTool, pkg('@plateau/a', 'adapter', '@plateau/d')])).toEqual([
    '@plateau/a (adapter) must not depend on @plateau/d (dev-tool)',
  ])
  expect(boundaryViolations([pkg('@plateau/d', 'dev-tool', '@plateau/a'), pkg('@plateau/a', 'contract')])).toEqual([
    '@plateau/d (dev-tool) must not depend on @plateau/a (contract)',
  ])
})
