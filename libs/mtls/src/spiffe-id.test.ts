import { describe, expect, it } from 'vitest'
import { identityOf, namesHosts, parseSpiffeId, spiffeId } from './spiffe-id.js'

const id = { trustDomain: 'example.org', namespace: 'plateau', service: 'serving' }
const uri = 'spiffe://example.org/ns/plateau/sa/serving'

describe('a SPIFFE id', () => {
  it('is read as it was written', () => {
    expect(spiffeId(id)).toBe(uri)
    expect(parseSpiffeId(uri)).toEqual(id)
  })

  it.each([
    ['another scheme', uri.replace('spiffe', 'https')],
    ['another form', 'spiffe://example.org/serving'],
    ['a part more', `${uri}/more`],
    ['a part less', 'spiffe://example.org/ns/plateau/sa'],
    ['an empty name', 'spiffe://example.org/ns//sa/serving'],
    ['a query', `${uri}?x=1`],
    ['a line break', `${uri}\n`],
    ['capitals', uri.replace('serving', 'Serving')],
    ['steps up', 'spiffe://example.org/ns/../sa/serving'],
    ['no end', `${uri}${'a'.repeat(3000)}`],
  ])('is nothing else: %s', (_, text) => {
    expect(parseSpiffeId(text)).toBeUndefined()
  })
})

describe('the identity of a certificate', () => {
  it('is its one URI, whatever else it names', () => {
    expect(identityOf({ subjectaltname: `DNS:a.local, URI:${uri}, IP Address:127.0.0.1` })).toEqual(id)
  })

  it.each([
    ['no names', undefined],
    ['no URI', 'DNS:serving'],
    ['two URIs', `URI:${uri}, URI:${uri.replace('serving', 'operator')}`],
    ['a URI inside another name', `DNS:"x, URI:${uri}"`],
    ['a name that begins like one', `DNS:URI:${uri}`],
  ])('is nobody with %s', (_, subjectaltname) => {
    expect(identityOf({ subjectaltname })).toBeUndefined()
  })

  it('says whether it is for hosts too', () => {
    expect(namesHosts({ subjectaltname: `URI:${uri}` })).toBe(false)
    expect(namesHosts({ subjectaltname: `URI:${uri}, DNS:a` })).toBe(true)
    expect(namesHosts({ subjectaltname: `URI:${uri}, IP Address:10.0.0.1` })).toBe(true)
  })
})
