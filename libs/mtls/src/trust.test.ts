import type { PeerCertificate } from 'node:tls'
import { describe, expect, it } from 'vitest'
import { callerRefusal, serverRefusal, type MethodTable, type Trust } from './trust.js'
import { uriOf } from './testing.js'

const trust: Trust = { trustDomain: 'here', namespaces: ['plateau'] }
const named = (subjectaltname: string): PeerCertificate => ({ subjectaltname }) as PeerCertificate
const of = (uri: string): PeerCertificate => named(`URI:${uri}`)

describe('who may call', () => {
  const table: MethodTable = { '/a/Read': 'everyone', '/a/Write': ['operator'] }
  const refusal = (path: string, peer: PeerCertificate | undefined) => callerRefusal(trust, table, path, peer)

  it('is in the table, by the service of the certificate', () => {
    expect(refusal('/a/Write', of(uriOf('operator')))).toBeUndefined()
    expect(refusal('/a/Read', of(uriOf('console')))).toBeUndefined()
    expect(refusal('/a/Write', of(uriOf('serving')))).toEqual({
      code: 'PERMISSION_DENIED',
      message: `${uriOf('serving')} may not call /a/Write`,
      caller: uriOf('serving'),
    })
  })

  it.each(['/a/Else', '/a/toString', 'constructor', ''])('a method that is not in it is nobody\'s: "%s"', (path) => {
    expect(refusal(path, of(uriOf('operator')))).toMatchObject({ code: 'PERMISSION_DENIED' })
  })

  it('is of our trust domain and namespace: the same name elsewhere is worth nothing', () => {
    for (const uri of [uriOf('operator', 'other'), uriOf('operator', 'plateau', 'there')])
      expect(refusal('/a/Write', of(uri))).toMatchObject({ code: 'PERMISSION_DENIED', caller: uri })
  })

  it('is of our trust domain at least, where everyone may', () => {
    expect(refusal('/a/Read', of(uriOf('an-app', 'other')))).toBeUndefined()
    expect(refusal('/a/Read', of(uriOf('an-app', 'plateau', 'there')))).toMatchObject({ code: 'PERMISSION_DENIED' })
  })

  it('is somebody', () => {
    for (const peer of [undefined, named('DNS:operator'), named(`URI:${uriOf('operator')}, URI:${uriOf('serving')}`)])
      expect(refusal('/a/Read', peer)).toMatchObject({ code: 'UNAUTHENTICATED' })
  })
})

describe('a server', () => {
  const judge = (host: string, certificate: PeerCertificate) =>
    serverRefusal(trust, 'target-model', host, certificate)?.message

  it('is the one that was wanted, by its identity', () => {
    expect(judge('target', of(uriOf('target-model')))).toBeUndefined()
    expect(judge('target', of(uriOf('serving')))).toMatch(
      /is spiffe:.*sa\/serving, expected was "target-model" of trust/,
    )
    expect(judge('target', of(uriOf('target-model', 'other')))).toContain('expected was')
    expect(judge('target', named('DNS:target'))).toContain('nobody we know')
  })

  it('answers to the name it was called by, where its certificate names any', () => {
    const certificate = named(`URI:${uriOf('target-model')}, DNS:target.plateau.svc`)
    expect(judge('target.plateau.svc', certificate)).toBeUndefined()
    expect(judge('target.other.svc', certificate)).toContain('target.other.svc')
    expect(judge('127.0.0.1', certificate)).toBeUndefined()
  })
})
