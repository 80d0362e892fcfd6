import { EVERY_TENANT, tenantDigest } from '@plateau/checkpoints'
import { expect, test } from 'vitest'
import { digestsOf, learnedFrom, LearnedTenants } from './learned-from.js'

test('tenants are known by their digests, sorted, each once, the default one too', () => {
  const tenants = new LearnedTenants()
  for (const name of ['us', 'them', '', 'us']) tenants.add(name)
  expect(tenants.digests).toEqual(['', 'them', 'us'].map(tenantDigest).toSorted())
  expect(digestsOf(['us', 'them', '', 'us'])).toEqual(tenants.digests)
  expect([tenants.has(''), tenants.has('them'), tenants.has('else')]).toEqual([true, true, false])
})

test('more than 10,000 are anybody, until the weights begin again', () => {
  const tenants = new LearnedTenants()
  for (let i = 0; i < 10_000; i++) tenants.add(`t${i}`)
  expect([tenants.digests.length, tenants.has('else')]).toEqual([10_000, false])
  tenants.add('t10000')
  expect([tenants.digests, tenants.has('else')]).toEqual([[EVERY_TENANT], true])
  tenants.add('us')
  expect(tenants.digests).toEqual([EVERY_TENANT])
  tenants.beginAgain([])
  tenants.add('us')
  expect(tenants.digests).toEqual([tenantDigest('us')])
})

test('what a manifest does not say may be anybody', () => {
  expect(learnedFrom({})).toEqual({ gradientTenants: [EVERY_TENANT], sumTenants: [EVERY_TENANT] })
  expect(learnedFrom({ gradientTenants: [], sumTenants: [] })).toEqual({ gradientTenants: [], sumTenants: [] })
})
