import { expect, it } from 'vitest'
import { AdamW } from './adamw.js'
import { GuardedOptimizer } from './guarded-optimizer.js'

const shapes = (name: string) => new Map([[name, [2]]])
const groups = [
  { shapes: shapes('slow'), rate: 0.1 },
  { shapes: shapes('fast'), rate: 1 },
]
const options = { learningRate: 0.1, warmUpSteps: 0, weightDecay: 0, stepsPerGoodCopy: 2, skipsBeforeRestore: 3 }
const vectors = (slow: number, fast: number) =>
  new Map([
    ['slow', Float32Array.of(slow, -slow)],
    ['fast', Float32Array.of(fast, -fast)],
  ])

function started() {
  const optimizer = new GuardedOptimizer(groups, options)
  optimizer.restart(vectors(1, 2))
  return optimizer
}

it('each group steps as AdamW does at its share of the rate', () => {
  const optimizer = started()
  const alone = new AdamW(shapes('slow'), { weightDecay: 0 })
  alone.loadParameters(vectors(1, 2))
  for (let i = 0; i < 3; i++) {
    const step = optimizer.step(1, vectors(0.1, 0.2))
    alone.step(vectors(0.1, 0.2), 0.01)
    expect(step).toMatchObject({ applied: true, restored: false })
    // The norm is over all groups.
    expect(step.gradientNorm).toBeCloseTo(Math.sqrt(2 * (0.1 ** 2 + 0.2 ** 2)), 6)
  }
  expect(optimizer.parameters.get('slow')).toEqual(alone.state.parameters.get('slow'))
  expect(optimizer.steps).toBe(3)
})

it.each([
  ['a loss', Number.NaN, 0.1],
  ['a gradient of one group', 1, Number.POSITIVE_INFINITY],
])('%s that is not finite moves no group', (_, loss, gradient) => {
  const optimizer = started()
  const before = optimizer.states
  expect(optimizer.step(loss, vectors(0.1, gradient))).toMatchObject({ applied: false, restored: false })
  expect(optimizer.states).toEqual(before)
})

it('several such steps in a row bring the last good state back', () => {
  const optimizer = started()
  for (let i = 0; i < 2; i++) optimizer.step(1, vectors(0.1, 0.1))
  const good = optimizer.states
  // Applied, and ruined by it: this state is never taken for a good one.
  optimizer.parameters.get('fast')!.fill(Number.NaN)
  const bad = () => optimizer.step(Number.NaN, vectors(0.1, 0.1))
  expect([bad(), bad(), bad()].map(({ restored }) => restored)).toEqual([false, false, true])
  expect(optimizer.states).toEqual(good)
})

it('continues from saved states exactly', () => {
  const first = started()
  first.step(1, vectors(0.3, 0.1))
  const second = new GuardedOptimizer(groups, options)
  second.load(first.states)
  for (const optimizer of [first, second]) optimizer.step(1, vectors(0.2, -0.1))
  expect(second.states).toEqual(first.states)
})
