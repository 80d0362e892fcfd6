import { describe, expect, it } from 'vitest'
import { BatchPlanner, type Planned, type Waiting } from './batch-planner.js'

/** A sequence's step, by logical time: `remaining` goes down as it is planned. */
class Step implements Waiting {
  readonly name: string
  readonly lengthClass: number
  remaining: number
  constructor(name: string, remaining: number, lengthClass = 0) {
    this.name = name
    this.remaining = remaining
    this.lengthClass = lengthClass
  }
}

const limits = { chunkTokens: 128, sharedChunkTokens: 32 }

function planner(...steps: Step[]): BatchPlanner<Step> {
  const made = new BatchPlanner<Step>(limits)
  for (const step of steps) made.add(step)
  return made
}

/** One run: computes what was planned and puts back what is not done. */
function run(plan: BatchPlanner<Step>, admit = (_: Step, count: number) => count): Planned<Step>[] {
  const planned = plan.next(admit)
  for (const { step, count } of planned) {
    step.remaining -= count
    if (step.remaining > 0) plan.add(step)
  }
  return planned
}

const said = (planned: readonly Planned<Step>[]) => planned.map(({ step, count }) => `${step.name}:${count}`).join(' ')

function random(seed: number): () => number {
  let state = seed >>> 0
  return () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32
}

describe('a run', () => {
  it('takes decoding and verification steps of several lengths together', () => {
    expect(said(run(planner(new Step('a', 1), new Step('b', 5), new Step('c', 1), new Step('d', 8))))).toBe(
      'a:1 b:5 c:1 d:8',
    )
  })

  it('takes a long prompt whole when nobody decodes, and chunk by chunk', () => {
    const plan = planner(new Step('p', 300))
    expect([run(plan), run(plan), run(plan), run(plan)].map(said)).toEqual(['p:128', 'p:128', 'p:44', ''])
  })

  it('takes short prompts together, as many as fit', () => {
    const plan = planner(new Step('p', 50), new Step('q', 60), new Step('r', 40))
    expect([run(plan), run(plan)].map(said)).toEqual(['p:50 q:60', 'r:40'])
  })

  it('alternates shorter chunks of a prompt with the steps of those that decode', () => {
    const plan = planner(new Step('p', 100), new Step('a', 1))
    const seen: string[] = []
    for (let i = 0; i < 6; i++) {
      const planned = run(plan)
      seen.push(said(planned))
      if (planned.some(({ step }) => step.name === 'a')) plan.add(new Step('a', 1))
    }
    // The prompt's last tokens are a short step like others.
    expect(seen).toEqual(['p:32', 'a:1', 'p:32', 'a:1', 'p:32', 'a:1 p:4'])
  })

  it('does not mix length classes, and lets them take turns', () => {
    const plan = planner(new Step('a', 1, 0), new Step('x', 1, 1), new Step('b', 1, 0))
    expect([run(plan), run(plan)].map(said)).toEqual(['a:1 b:1', 'x:1'])
  })

  it('leaves out a step that would make the others compute for nothing, and begins with it the next time', () => {
    const singles = Array.from({ length: 8 }, (_, i) => new Step(`s${i}`, 1))
    const plan = planner(...singles, new Step('long', 24))
    expect(said(run(plan))).not.toContain('long')
    for (let i = 0; i < 8; i++) plan.add(new Step(`t${i}`, 1))
    expect(said(run(plan))).toMatch(/^long:24/)
  })

  it('never plans what was removed, nor what may not run', () => {
    const [a, b] = [new Step('a', 1), new Step('b', 1)]
    const plan = planner(a, b, new Step('c', 1))
    plan.remove(a)
    expect(said(run(plan, (step, count) => (step === b ? 0 : count)))).toBe('c:1')
    expect(plan.waiting).toBe(1)
    expect(said(run(plan, () => 0))).toBe('')
    expect(said(run(plan))).toBe('b:1')
  })
})

describe('nobody starves', () => {
  it.each([1, 2, 3, 4, 5, 6])('a step runs within (steps ahead of it + 1) x lines runs, schedule %d', (seed) => {
    const next = random(seed)
    const plan = planner()
    const waits = new Map<Step, { since: number; allowed: number }>()
    const lineOf = (step: Step) => `${step.lengthClass} ${step.remaining <= 24}`
    const lines = 2 * 3
    const waiting: Step[] = []
    const put = (step: Step, now: number) => {
      const ahead = waiting.filter((other) => lineOf(other) === lineOf(step)).length
      waiting.push(step)
      waits.set(step, { since: now, allowed: (ahead + 1) * lines })
      plan.add(step)
    }
    let longestWait = 0
    for (let now = 0; now < 2000; now++) {
      for (let arrivals = Math.floor(next() * 3); arrivals > 0 && waiting.length < 40; arrivals--) {
        const length = next() < 0.3 ? 25 + Math.floor(next() * 1500) : 1 + Math.floor(next() * 20)
        put(new Step(`${now}`, length, Math.floor(next() * 3)), now)
      }
      for (const { step, count } of plan.next((_, most) => most)) {
        const { since, allowed } = waits.get(step)!
        longestWait = Math.max(longestWait, now - since)
        expect(now - since).toBeLessThan(allowed)
        waiting.splice(waiting.indexOf(step), 1)
        step.remaining -= count
        if (step.remaining > 0) put(step, now + 1)
      }
    }
    expect(longestWait).toBeGreaterThan(3)
  })

  it('one who decodes waits for one chunk at most, however many prompts there are', () => {
    const plan = planner(...Array.from({ length: 30 }, (_, i) => new Step(`p${i}`, 1000)))
    run(plan)
    const decoding = new Step('d', 0)
    for (let token = 0; token < 20; token++) {
      decoding.remaining = 1
      plan.add(decoding)
      const runs = [run(plan), run(plan)]
      expect(runs.flat().map(({ step }) => step)).toContain(decoding)
      const held = runs.flat().filter(({ step }) => step !== decoding)
      expect(held.reduce((sum, { count }) => sum + count, 0)).toBeLessThanOrEqual(128)
    }
  })
})
