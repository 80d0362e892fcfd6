import { describe, expect, it } from 'vitest'
import { Access, type CapturePolicy } from './access.js'
import { digestOf, parseApiKeys } from './api-keys.js'
import { Quotas } from './quotas.js'

const keys = parseApiKeys(
  JSON.stringify({
    keys: [
      { name: 'ops', sha256: digestOf('pl_ops'), tenant: 'acme', admin: true },
      { name: 'app', sha256: digestOf('pl_app'), tenant: 'acme', capture: true, requestsPerMinute: 1 },
      { name: 'plain', sha256: digestOf('pl_plain'), tenant: 'acme', noSpeculation: true },
    ],
  }),
)
const quotas = () => new Quotas({ nowMs: () => 0, responseMs: () => 0, onRefused: () => {} })
const access = (capture: CapturePolicy = 'consented', file = true) =>
  new Access({ keys: file ? () => keys : undefined, capture, quotas: quotas() })
const asked = { tokens: 1, responses: 1, fields: { tokens: 'max_tokens', responses: 'n' } }

describe('with a keys file', () => {
  it('a key says whose request it is and what it may', () => {
    expect(access().authenticate('Bearer pl_ops')).toEqual({
      tenant: 'acme',
      keyName: 'ops',
      admin: true,
      mayCapture: false,
      maySpeculate: true,
    })
    expect(access().authenticate('bearer  pl_app')).toMatchObject({ keyName: 'app', admin: false, mayCapture: true })
  })

  it('a key may keep its responses from being speculated on', () => {
    const may = ['pl_app', 'pl_plain'].map((key) => access().authenticate(`Bearer ${key}`).maySpeculate)
    expect(may).toEqual([true, false])
  })

  it.each([undefined, '', 'Bearer', 'Bearer ', 'Basic pl_app', 'pl_app', 'Bearer pl_', 'Bearer pl_app pl_app'])(
    '%j is not let in',
    (authorization) => {
      expect(() => access().authenticate(authorization)).toThrow(
        expect.objectContaining({ code: 'UNAUTHENTICATED', facts: { reason: 'invalid_api_key' } }),
      )
    },
  )

  it('keys of one tenant share its quota', () => {
    const one = access()
    one.reserve('acme', asked)
    expect(() => one.reserve('acme', asked)).toThrow(expect.objectContaining({ code: 'RESOURCE_EXHAUSTED' }))
  })
})

it('without a keys file everybody may ask, without quotas', () => {
  const open = access('consented', false)
  expect(open.authenticate(undefined)).toMatchObject({ tenant: undefined, admin: true })
  for (let i = 0; i < 3; i++) open.reserve('acme', asked)
})

it.each<[CapturePolicy, boolean, boolean, boolean]>([
  ['off', false, false, false],
  ['consented', false, true, false],
  ['all', true, true, true],
])('capture %s: a key without consent %s, one with it %s, without a keys file %s', (policy, ops, app, none) => {
  expect(access(policy).authenticate('Bearer pl_ops').mayCapture).toBe(ops)
  expect(access(policy).authenticate('Bearer pl_app').mayCapture).toBe(app)
  expect(access(policy, false).authenticate(undefined).mayCapture).toBe(none)
})
