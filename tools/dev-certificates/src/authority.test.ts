import { createPrivateKey, X509Certificate } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { issueCertificate, makeAuthority, validFor } from './authority.js'

const now = Date.now()
const request = {
  ...validFor(1, now),
  commonName: 'someone',
  uris: ['spiffe://here/sa/someone'],
  hosts: ['a.local', '127.0.0.1'],
}

describe('an authority of our own', () => {
  it('signs certificates that Node takes for its own, with the names that were asked for', async () => {
    const authority = await makeAuthority('here', validFor(10, now))
    const issued = await issueCertificate(authority, request)
    const [parent, child] = [new X509Certificate(authority.certificate), new X509Certificate(issued.certificate)]
    expect(parent.ca).toBe(true)
    expect(child.ca).toBe(false)
    expect(child.checkIssued(parent)).toBe(true)
    expect(child.verify(parent.publicKey)).toBe(true)
    expect(child.checkPrivateKey(createPrivateKey(issued.key))).toBe(true)
    expect(child.subjectAltName).toBe('URI:spiffe://here/sa/someone, DNS:a.local, IP Address:127.0.0.1')
    expect(child.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2'])
    expect(Date.parse(child.validTo)).toBe(Math.floor(request.notAfter.getTime() / 1000) * 1000)
  })

  it('gives every certificate a serial number and a key of its own', async () => {
    const authority = await makeAuthority('here', validFor(10, now))
    const [one, other] = await Promise.all([issueCertificate(authority, request), issueCertificate(authority, request)])
    expect(new X509Certificate(one.certificate).serialNumber).not.toBe(
      new X509Certificate(other.certificate).serialNumber,
    )
    expect(one.key).not.toBe(other.key)
  })

  it('refuses to sign with the key of another authority', async () => {
    const [one, other] = await Promise.all([
      makeAuthority('one', validFor(1, now)),
      makeAuthority('other', validFor(1, now)),
    ])
    await expect(issueCertificate({ certificate: one.certificate, key: other.key }, request)).rejects.toThrow(
      /key does not belong/,
    )
  })
})
