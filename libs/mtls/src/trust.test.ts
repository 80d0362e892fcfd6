import type { PeerCertificate } from 'node:tls'
import { describe, expect, it } from 'vitest'
import { checkCaller, serverRefusal, type MethodTable, type Trust } from './trust.js'
import { uriOf } from './testing.js'

const trust: Trust = { trustDomain: 'here', namespaces: ['plateau'] }
const named = (subjectaltname: string): PeerCertificate => ({ subjectaltname }) as PeerCertificate
const of = (uri: string): PeerCertificate => named(`URI:${uri}`)

describe('who may call', () => {
  const table: MethodTable = { '/a/Read': 'everyone', '/a/Write': ['operator'] }
  const call = (path: string, peer: PeerCertificate | undefined) => () => checkCaller(trust, table, path, peer)

  it('is in the table, by the service of the certificate', () => {
    expect(call('/a/Write', of(uriOf('operator')))()).toMatchObject({ service: 'operator' })
    expect(call('/a/Read', of(uriOf('console')))()).toMatchObject({ service: 'console' })
    expect(call('/a/Write', of(uriOf('serving')))).toThrow(`${uriOf('serving')} may not call /a/Write`)
  })

  it.each(['/a/Else', '/a/toString', 'constructor', ''])('a method that is not in it is nobody\'s: "%s"', (path) => {
    expect(call(path, of(uriOf('operator')))).toThrow(expect.objectContaining({ code: 'PERMISSION_DENIED' }))
  })

  it('is of our trust domain and namespace: the same name elsewhere is worth nothing', () => {
    for (const uri of [uriOf('operator', 'other'), uriOf('operator', 'plateau', 'there')]) {
      for (const path of ['/a/Write', '/a/Read'])
        expect(call(path, of(uri))).toThrow(expect.objectContaining({ code: 'PERMISSION_DENIED' }))
    }
  })

  it('is somebody', () => {
    for (const peer of [undefined, named('DNS:operator'), named(`URI:${uriOf('operator')}, URI:${uriOf('serving')}`)])
      expect(call('/a/Read', peer)).toThrow(expect.objectContaining({ code: 'UNAUTHENTICATED' }))
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
