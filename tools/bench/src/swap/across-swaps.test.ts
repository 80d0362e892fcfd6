import { describe, expect, it } from 'vitest'
import type { StreamedCompletion } from '../live/streamed-completion.js'
import { requestFigures, spanOf, stepOf, swapSteps } from './across-swaps.js'

const swaps = [{ version: 7, announcedMs: 1000, shadowMs: 1400, canaryMs: 1700, liveMs: 2000 }]
const request = (startedMs: number, endedMs: number, more: Partial<StreamedCompletion> = {}): StreamedCompletion => ({
  startedMs,
  arrivals: [
    { atMs: startedMs + 30, tokens: 1 },
    { atMs: endedMs, tokens: 3 },
  ],
  tokens: 4,
  drafts: 1,
  draftVersion: '6',
  finish: 'length',
  ...more,
})
const figures = (...completions: StreamedCompletion[]) => requestFigures(completions, swaps)

describe('requests and swaps', () => {
  it('cross a swap when they were under way as it went live', () => {
    expect(figures(request(1500, 2500), request(2100, 2500), request(1000, 1900)).acrossSwaps).toBe(1)
  })

  it('began again when they end on what was announced after them, or on two versions', () => {
    expect(figures(request(900, 2500, { draftVersion: '7' })).restarted).toBe(1)
    expect(figures(request(1500, 2500, { draftVersion: '6,7' })).restarted).toBe(1)
    expect(figures(request(1500, 2500, { draftVersion: '7' }), request(900, 2500)).restarted).toBe(0)
  })

  it('are cut short by any other end than length and stop', () => {
    expect(figures(request(0, 100, { finish: 'error' }), request(0, 100, { finish: 'stop' })).cutShort).toBe(1)
  })

  it('wait for their first token beside a swap or far from it', () => {
    const slow = request(1500, 2500, { arrivals: [{ atMs: 1590, tokens: 1 }] })
    expect(figures(slow, request(0, 500)).firstTokenP99Ms).toEqual({ inside: 90, outside: 30 })
  })
})

it('the steps of a swap make up its span', () => {
  const steps = swapSteps.map((step) => stepOf(swaps[0]!, step))
  expect(steps.map(({ fromMs }) => fromMs)).toEqual([1000, 1400, 1700, 2000])
  expect({ fromMs: steps[0]!.fromMs, toMs: steps.at(-1)!.toMs }).toEqual(spanOf(swaps[0]!))
  for (const [i, step] of steps.slice(1).entries()) expect(step.fromMs).toBe(steps[i]!.toMs)
})
