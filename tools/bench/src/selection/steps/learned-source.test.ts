import { seededRandom } from '@plateau/speculation'
import type { DraftRows, PairedGain, Piece } from '@plateau/training'
import { describe, expect, test } from 'vitest'
import { LearnedSource, TURN_STEPS } from './learned-source.js'
import type { WeightedRows } from './step-pieces.js'

const LENGTH = 16
const shape = { sequences: 4, positions: 8, rowsPerStep: 24, mostRows: 32 }
const window = () => ({ rows: { length: LENGTH, tokens: new Int32Array(LENGTH) } as DraftRows })
const flat = Array.from({ length: 30 }, window)
const peaked = Array.from({ length: 30 }, window)
const both = [...flat.slice(0, 15), ...peaked.slice(0, 15)]
const keptBy = new Map<string, readonly WeightedRows[]>([
  ['random', both],
  ['flatness', flat],
  ['least-flat', peaked],
])

interface Rewarded extends PairedGain {
  readonly arm: string
}

/** A draft is the number of its steps; each one gains a hundredth. */
async function run(rules: readonly string[], { steps, budget }: { steps: number; budget: number }) {
  const rewards: Rewarded[] = []
  let turn = 0
  const bandit = {
    choose: () => rules[turn++ % rules.length]!,
    reward: (arm: string, gain: PairedGain) => void rewards.push({ arm, ...gain }),
  }
  const windows = [{ length: 2 }, { length: 1 }] as DraftRows[]
  const reward = {
    windows,
    scale: () => Promise.resolve(1),
    alpha: (draft: number) => Promise.resolve([0.01 * draft, 0.01 * draft, 0.01 * draft]),
  }
  const random = seededRandom(1)
  const source = new LearnedSource<number>({ keptBy, bandit, budget, reward, random }, shape)
  const taken: Piece[][] = []
  for (let step = 0; step < steps; step++) {
    await source.before(step, () => step)
    taken.push(source.pieces())
  }
  return { source, rewards, taken }
}

function windowsOf(steps: readonly Piece[][]): Set<unknown> {
  return new Set(steps.flat().map(({ rows }) => rows.tokens))
}

describe('what a bandit over keep rules trains on', () => {
  test('a turn goes over windows of its rule only, and its gain is per position that it trained', async () => {
    const { taken, rewards } = await run(['flatness', 'least-flat'], { steps: 4 * TURN_STEPS, budget: 480 })
    const ofFlat = new Set(flat.map(({ rows }) => rows.tokens as unknown))
    for (const turn of [0, 1, 2, 3]) {
      const steps = taken.slice(turn * TURN_STEPS, (turn + 1) * TURN_STEPS)
      expect([...windowsOf(steps)].every((tokens) => ofFlat.has(tokens) === (turn % 2 === 0))).toBe(true)
    }
    expect(rewards.map(({ arm }) => arm)).toEqual(['flatness', 'least-flat', 'flatness'])
    const positions = taken
      .slice(0, TURN_STEPS)
      .flat()
      .reduce((sum, { from, to }) => sum + to - from, 0)
    expect(rewards[0]!.gain).toBeCloseTo((0.01 * TURN_STEPS) / positions, 9)
  })

  test('all turns together go over no more different positions than the budget, and use it up', async () => {
    const budget = 320
    const { source, taken } = await run(['random', 'flatness', 'least-flat'], { steps: 12 * TURN_STEPS, budget })
    expect(windowsOf(taken).size * LENGTH).toBe(source.keptPositions())
    expect(source.keptPositions()).toBeLessThanOrEqual(budget)
    expect(source.keptPositions()).toBeGreaterThan(budget - LENGTH)
  })

  test('by one rule alone, new windows come as they come to an arm of that rule', async () => {
    const { taken } = await run(['flatness'], { steps: 2 * TURN_STEPS, budget: 400 })
    const after = (steps: number): number => windowsOf(taken.slice(0, steps)).size * LENGTH
    expect(Math.abs(after(10) - 10 * shape.rowsPerStep)).toBeLessThanOrEqual(LENGTH)
    expect(after(Math.ceil(400 / shape.rowsPerStep))).toBe(400)
  })

  test('a rule whose first turn comes when all is spent has something to train on', async () => {
    const rules = [...Array.from({ length: 6 }, () => 'flatness'), 'least-flat', 'least-flat']
    const { taken } = await run(rules, { steps: 8 * TURN_STEPS, budget: 320 })
    expect(taken.every((pieces) => pieces.length > 0)).toBe(true)
  })
})
