import { expect, it } from 'vitest'
import { SseEvents } from './sse-events.js'

it('an event is there when its last byte is, however it was cut', () => {
  const events = new SseEvents()
  expect(events.add('data: {"a":1}\n')).toEqual([])
  expect(events.add('\ndata: {"b":2}\n\nda')).toEqual(['{"a":1}', '{"b":2}'])
  expect(events.add('ta: [DONE]\n\n')).toEqual(['[DONE]'])
})

it('what carries no data is no event', () => {
  expect(new SseEvents().add(': still here\n\n')).toEqual([])
})
