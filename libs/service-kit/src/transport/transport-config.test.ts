import { issueInto, holderFiles } from '@plateau/dev-certificates'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { plaintextRefusal, transportConfig } from './transport-config.js'

const directory = mkdtempSync(join(tmpdir(), 'transport-'))
const DAY_MS = 86_400_000
const nowMs = Date.now()

beforeAll(() => {
  const holders = ['serving', 'trainer'].map((name) => ({
    name,
    uris: [`spiffe://here/ns/plateau/sa/${name}`],
    hosts: [],
  }))
  return issueInto(directory, holders, { authorityName: 'here', authorityDays: 100, days: 10, nowMs })
})
afterAll(() => rmSync(directory, { recursive: true }))

function environmentOf(name: string): Record<string, string> {
  const { certFile, keyFile, caFile } = holderFiles(directory, name)
  return { PLATEAU_TLS_CERT_FILE: certFile, PLATEAU_TLS_KEY_FILE: keyFile, PLATEAU_TLS_CA_FILE: caFile }
}

function problemsOf(environment: Record<string, string>, now = nowMs): readonly string[] {
  try {
    transportConfig('serving', () => now).parse(environment)
    return []
  } catch (error) {
    return (error as { problems: readonly string[] }).problems
  }
}

describe('settings of how services talk', () => {
  it('are plaintext, or certificates that can be used', () => {
    expect(problemsOf({})).toEqual([])
    expect(problemsOf({ ...environmentOf('serving'), PLATEAU_TRUST_DOMAIN: 'here' })).toEqual([])
  })

  it('name every problem of the certificates at once', () => {
    const wrong = {
      ...environmentOf('trainer'),
      PLATEAU_TLS_KEY_FILE: holderFiles(directory, 'serving').keyFile,
      PLATEAU_TRUST_DOMAIN: 'there',
    }
    expect(problemsOf(wrong, nowMs + 11 * DAY_MS)).toEqual([
      'PLATEAU_TLS_*: the key does not belong to the certificate',
      expect.stringMatching(/^PLATEAU_TLS_\*: the certificate expired at /),
      'PLATEAU_TLS_*: the certificate is of "trainer", and this is serving',
      'PLATEAU_TLS_*: the certificate is of trust domain "here", not "there"',
    ])
  })

  it('name files that are missing, or hold something else, by their setting', () => {
    const given = environmentOf('serving')
    const missing = { ...given, PLATEAU_TLS_KEY_FILE: '/nowhere/key', PLATEAU_TLS_CA_FILE: '/nowhere/ca' }
    expect(problemsOf(missing)).toEqual([
      expect.stringMatching(/^PLATEAU_TLS_KEY_FILE="\/nowhere\/key" is not allowed/),
      expect.stringMatching(/^PLATEAU_TLS_CA_FILE="\/nowhere\/ca" is not allowed/),
    ])
    const nonsense = join(directory, 'nonsense')
    writeFileSync(nonsense, 'nothing')
    expect(problemsOf({ ...given, PLATEAU_TLS_CA_FILE: nonsense })).toEqual([
      expect.stringContaining('the CA file cannot be used: it holds no certificate in PEM'),
    ])
  })

  it('want all three files or none, and trust only beside them', () => {
    const { PLATEAU_TLS_CERT_FILE } = environmentOf('serving')
    expect(problemsOf({ PLATEAU_TLS_CERT_FILE: PLATEAU_TLS_CERT_FILE! })[0]).toContain('belong together')
    expect(problemsOf({ PLATEAU_TRUST_DOMAIN: 'here' })[0]).toContain('they need PLATEAU_TLS_CERT_FILE')
  })
})

describe('an address that others reach', () => {
  const refusal = (address: string, environment: Record<string, string> = {}) =>
    plaintextRefusal('PLATEAU_ADDRESS', address, transportConfig('serving').parse(environment))

  it('is not served in plaintext, unless the operator says so or there are certificates', () => {
    expect(refusal('0.0.0.0:7070')).toMatch(
      /^PLATEAU_ADDRESS=0.0.0.0:7070 is reached from other machines, in plaintext/,
    )
    expect(refusal('127.0.0.1:7070')).toBeUndefined()
    expect(refusal('0.0.0.0:7070', { PLATEAU_PLAINTEXT: 'allowed' })).toBeUndefined()
    expect(refusal('0.0.0.0:7070', environmentOf('serving'))).toBeUndefined()
  })
})
