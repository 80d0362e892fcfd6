import { makeAuthority, validFor } from '@plateau/dev-certificates'
import { describe, expect, it } from 'vitest'
import { checkCertificates, type CertificateTexts, type Expectation } from './check-certificates.js'
import { authority, DAY_MS, issue, nowMs, stranger, texts, uriOf } from './testing.js'

const expected: Expectation = { service: 'serving', trustDomain: 'here', nowMs }

function problemsOf(given: CertificateTexts, expectation = expected): readonly string[] {
  const result = checkCertificates(given, expectation)
  return result.ok ? [] : result.problems
}

describe('certificates that are looked at before they are used', () => {
  it('are good with the right name, key, time and authority', async () => {
    const result = checkCertificates(await texts(), expected)
    expect(result).toMatchObject({ ok: true, checked: { identity: { service: 'serving', namespace: 'plateau' } } })
  })

  it('are good below any of several authorities, as while one takes the place of another', async () => {
    const given = await texts()
    expect(problemsOf({ ...given, ca: stranger.certificate + given.ca })).toEqual([])
  })

  it('name a key that belongs to another certificate', async () => {
    const [one, other] = await Promise.all([texts(), texts()])
    expect(problemsOf({ ...one, key: other.key })).toEqual(['the key does not belong to the certificate'])
  })

  it('name an authority that did not sign', async () => {
    expect(problemsOf(await texts({}, stranger))).toEqual([
      'no authority of the CA file has signed the certificate (by its intermediates)',
    ])
    const impostor = await makeAuthority('here', validFor(10, nowMs))
    expect(problemsOf(await texts({}, impostor))).toHaveLength(1)
  })

  it('name the time, before and after', async () => {
    const given = await texts()
    expect(problemsOf(given, { ...expected, nowMs: nowMs + 11 * DAY_MS })).toEqual([
      expect.stringMatching(/^the certificate expired at 20.*Z$/),
    ])
    expect(problemsOf(given, { ...expected, nowMs: nowMs - DAY_MS })[0]).toMatch(/not valid before .* clock/)
    expect(problemsOf(await texts({ ...validFor(500, nowMs) }), { ...expected, nowMs: nowMs + 101 * DAY_MS })).toEqual([
      expect.stringMatching(/^the CA file's authority expired at /),
    ])
  })

  it('name whose they are instead', async () => {
    expect(problemsOf(await texts({ uris: [uriOf('trainer')] }))).toEqual([
      'the certificate is of "trainer", and this is serving',
    ])
    expect(problemsOf(await texts({ uris: [uriOf('serving', 'plateau', 'there')] }))).toEqual([
      'the certificate is of trust domain "there", not "here"',
    ])
    expect(problemsOf(await texts({ uris: [] }))).toEqual([
      expect.stringContaining('exactly one URI name, spiffe://<trust domain>/ns/<namespace>/sa/serving'),
    ])
    expect(problemsOf(await texts({ uris: [uriOf('serving'), uriOf('operator')] }))).toHaveLength(1)
  })

  it('name what they are not meant for', async () => {
    expect(problemsOf(await texts({ usages: ['client'] }))).toEqual([
      "the certificate's extended key usage lacks serverAuth",
    ])
    expect(problemsOf(await texts({ usages: ['server'] }))).toEqual([
      "the certificate's extended key usage lacks clientAuth",
    ])
    const alone = async (service: string, usage: 'server' | 'client') =>
      problemsOf(await texts({ uris: [uriOf(service)], usages: [usage] }), { ...expected, service })
    expect(await alone('operator', 'client')).toEqual([])
    expect(await alone('operator', 'server')).toHaveLength(1)
    expect(await alone('target-model', 'server')).toEqual([])
    expect(await alone('target-model', 'client')).toHaveLength(1)
  })

  it('name a CA file that holds no authority', async () => {
    const given = await texts()
    expect(problemsOf({ ...given, ca: (await issue()).certificate })).toEqual([
      'the CA file holds a certificate of no authority: CN=test',
    ])
  })

  it('name all that is wrong at once, and nothing of the key', async () => {
    const { key } = await issue()
    const given = { ...(await texts({ uris: [uriOf('trainer')] })), key, ca: stranger.certificate }
    const problems = problemsOf(given, { ...expected, nowMs: nowMs + 11 * DAY_MS })
    expect(problems).toHaveLength(4)
    const broken = problemsOf({ cert: 'no PEM', key: key.replace('MIG', 'MIH'), ca: authority.key })
    expect(broken).toHaveLength(3)
    expect(broken.join()).not.toContain(key.split('\n')[1]!.slice(4, 24))
  })
})
