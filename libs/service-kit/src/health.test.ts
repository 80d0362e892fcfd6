import { expect, it } from 'vitest'
import { HealthBoard } from './health.js'

it('a loop without progress is a liveness failure until it beats again', () => {
  let nowMs = 0
  const health = new HealthBoard(() => nowMs)
  const loop = health.progress('consume', 1_000)
  nowMs = 1_000
  expect(health.liveness().ok).toBe(true)
  nowMs = 3_001
  expect(health.liveness()).toEqual({ ok: false, reasons: { consume: 'no progress for 3 s' } })
  loop.beat()
  expect(health.liveness().ok).toBe(true)
  loop.done()
  nowMs = 1e9
  expect(health.liveness().ok).toBe(true)
})

it('a note is said without making anything less ready', () => {
  const health = new HealthBoard(() => 0)
  let store: string | undefined = 'away'
  health.note('checkpoints', () => store)
  expect(health.readiness()).toEqual({ ok: true, reasons: {}, notes: { checkpoints: 'away' } })
  store = undefined
  expect(health.readiness()).toEqual({ ok: true, reasons: {} })
})

it('readiness names every condition that does not hold', () => {
  const health = new HealthBoard(() => 0)
  let target: string | undefined = 'not reachable'
  health.ready('target', () => target)
  health.ready('draft', () => undefined)
  expect(health.readiness()).toEqual({ ok: false, reasons: { target: 'not reachable' } })
  target = undefined
  expect(health.readiness()).toEqual({ ok: true, reasons: {} })
})
