import { expect, test } from 'vitest'
import { decodeHeaders, encodeHeaders } from './headers.js'

const event = {
  id: 'window:s1:0',
  source: '/plateau/target-model',
  type: 'plateau.stream.v1.TokenWindow',
  timeMs: 1000,
}

test('headers survive a round trip, with and without a trace', () => {
  expect(decodeHeaders(encodeHeaders(event))).toEqual({ ...event, subject: undefined, traceparent: undefined })
  const traced = { ...event, subject: 's1', traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' }
  expect(decodeHeaders(encodeHeaders(traced))).toEqual(traced)
})

test('a record without our attributes is recognised as foreign', () => {
  for (const missing of ['ce_id', 'ce_source', 'x-proto-message', 'ce_time', 'ce_specversion']) {
    const headers: Record<string, string> = { ...encodeHeaders(event) }
    delete headers[missing]
    expect(decodeHeaders(headers)).toBeUndefined()
  }
})

test('a record of before ce_subject and ce_dataschema is read as ever', () => {
  const { ce_dataschema, ce_subject, ...old } = encodeHeaders({ ...event, subject: 's1' })
  expect([ce_dataschema, ce_subject]).toEqual(['urn:proto:plateau.stream.v1.TokenWindow', 's1'])
  expect(decodeHeaders(old)).toEqual({ ...event, subject: undefined, traceparent: undefined })
})
