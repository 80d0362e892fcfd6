import { KeepRule, SelectionPolicy } from '@plateau/contracts'
import type { DraftRows } from '@plateau/inference'
import { seededRandom } from '@plateau/speculation'
import { tenantDigest } from '@plateau/checkpoints'
import { MetricRegistry, silentLogger } from '@plateau/telemetry'
import type { DraftStepReport, Piece } from '@plateau/training'
import { expect, test } from 'vitest'
import { declareTrainerMetrics } from '../metrics.js'
import type { GradientPolicy } from '../policy/policy-parts.js'
import { acceptedWindow, Teacher } from '../testing.js'
import type { AcceptedRecord } from '../training-record.js'
import { GradientTurns, type GradientTurnsState, type Stepping } from './gradient-turns.js'
import type { Parameters } from './rule-turn.js'

const teacher = new Teacher()
const template = acceptedWindow(teacher, 0)
const POSITIONS = template.rows.length
const flat = 'flatness(keep=0.5,stratified)'
const peaked = 'least-flat(keep=0.5,stratified)'
const everything = 'none'

const options = {
  gradientShare: 1,
  replayPositions: 20_000,
  trialStrategies: ['random', 'flatness', 'least-flat'],
  trialKeep: 0.5,
  sequences: 8,
  positions: 64,
}

/** A stream in which, unless told otherwise, every window but the flat ones teaches; chance keeps every other one of both. */
class World {
  constructor(private readonly teaches: (isFlat: boolean) => boolean = (isFlat) => !isFlat) {}

  /** By their offset. */
  readonly sent: AcceptedRecord[] = []
  readonly #teaches = new Map<DraftRows, boolean>()

  windows(count: number, changes: Partial<AcceptedRecord> = {}): AcceptedRecord[] {
    return Array.from({ length: count }, () => {
      const offset = this.sent.length
      const isFlat = offset % 2 === 0
      const keptBy = [isFlat ? flat : peaked, ...(offset % 4 < 2 ? ['random(keep=0.5,stratified)'] : [])]
      const rows = { ...template.rows }
      this.#teaches.set(rows, this.teaches(isFlat))
      const window = { ...template, rows, place: { partition: 0, offset }, keptBy, policy: everything, ...changes }
      this.sent.push(window)
      return window
    })
  }

  worthOf(pieces: readonly Piece[]): number {
    const good = pieces.filter(({ rows }) => this.#teaches.get(rows)).length
    return (2 * good) / pieces.length - 1
  }
}

/** A draft of one number, its alpha; a step moves it by what its pieces are worth. */
class OneNumber implements Stepping {
  steps = 0
  value = 0
  readonly taken: number[] = []

  constructor(
    private readonly world: World,
    private readonly scale: (steps: number) => number = () => 1,
  ) {}

  get parameters(): Parameters {
    return new Map([['value', Float32Array.of(this.value)]])
  }

  async step(pieces: readonly Piece[]): Promise<DraftStepReport> {
    const worth = this.world.worthOf(pieces)
    this.taken.push(worth)
    this.value += 1e-3 * worth * this.scale(this.steps)
    this.steps++
    return { loss: 0.5, positions: pieces.length * POSITIONS, gradientNorm: 1, applied: true, restored: false }
  }
}

/** Rows differ, and a draft's scores are not exact. */
function judgeOf(seed: number) {
  const random = seededRandom(seed)
  const windows = Array.from({ length: 20 }, () => template.rows)
  const alpha = async (parameters: Parameters) =>
    Float64Array.from({ length: 20 * POSITIONS }, () => parameters.get('value')![0]! + 0.01 * (random() - 0.5))
  return { windows, alpha }
}

function open(saved?: GradientTurnsState) {
  const said: GradientPolicy[] = []
  const metrics = declareTrainerMetrics(new MetricRegistry())
  const policy = { gradients: (one: GradientPolicy) => void said.push(one) }
  const turns = new GradientTurns(options, { policy, metrics, logger: silentLogger, clock: () => 0 }, saved, [])
  return { turns, said, metrics }
}

/** New windows come as fast as they are used. */
async function train(turns: GradientTurns, stage: OneNumber, world: World, steps: number): Promise<void> {
  for (let step = 0; step < steps; step++) {
    for (const window of world.windows(8)) turns.offer(window)
    await turns.take(stage, judgeOf(stage.steps))
  }
}

const turnsBy = ({ metrics }: ReturnType<typeof open>, rule: string): number => metrics.ruleTurns.value({ rule }) ?? 0

test('a rule that keeps noise is avoided, and one that keeps what teaches is published with its gain over random', async () => {
  const world = new World()
  const opened = open()
  await train(opened.turns, new OneNumber(world), world, 100 + 180 * 25)
  const [first, last] = [opened.said[0]!, opened.said.at(-1)!]
  expect(first).toMatchObject({ rule: { strategy: 'none' }, gain: undefined })
  expect(first.trials.map(({ strategy, keep }) => [strategy, keep])).toEqual([
    ['random', 0.5],
    ['flatness', 0.5],
    ['least-flat', 0.5],
  ])
  expect(last.rule).toMatchObject({ strategy: 'least-flat', keep: 0.5 })
  // 25 steps of 8 windows: alpha rises by .025 where all of them teach, and not at all where half of them do.
  const expected = (1e-3 / (8 * POSITIONS)) * 10_000
  expect(last.gain!.gain).toBeGreaterThan(0.8 * expected)
  expect(last.gain!.gain).toBeLessThan(1.2 * expected)
  expect(last.gain!.standardError).toBeLessThan(0.1 * expected)
  expect(last.evidence).toMatch(
    /windows are kept by least-flat\(keep=0\.5,stratified\).*flatness\(keep=0\.5,stratified\) -0\.0/,
  )
  // The rule in force keeps everything here, whatever was published: most turns are by it, or chance's.
  const [better, worse] = [turnsBy(opened, peaked), turnsBy(opened, flat)]
  expect(better).toBeGreaterThan(1.3 * worse)
  expect(better + worse).toBeLessThan(0.35 * 180)
})

test('where steps gain less and less, by all rules alike, nothing is said to be better', async () => {
  const world = new World(() => true)
  const opened = open()
  await train(opened.turns, new OneNumber(world, (steps) => 100 / (steps + 1)), world, 100 + 180 * 25)
  expect(turnsBy(opened, flat) + turnsBy(opened, peaked)).toBeGreaterThan(15)
  expect(opened.said.map(({ rule }) => rule?.strategy)).toEqual(opened.said.map(() => 'none'))
})

test('what is said of a rule is a record of the policy topic', async () => {
  const world = new World()
  const opened = open()
  await train(opened.turns, new OneNumber(world), world, 100 + 60 * 25)
  const { rule, trials, gain } = opened.said.at(-1)!
  const record = SelectionPolicy.fromPartial({ ...rule, trials: [...trials], gains: [{ stage: 'gradients', ...gain }] })
  const read = SelectionPolicy.decode(SelectionPolicy.encode(record).finish())
  expect(read.gains[0]!.count).toBe(gain!.count)
  expect(read.trials).toEqual(trials.map((one) => KeepRule.fromPartial(one)))
})

test('before steps that only time tells apart nothing is tried, and a turn trains by one rule from end to end', async () => {
  const world = new World()
  const opened = open()
  const stage = new OneNumber(world)
  await train(opened.turns, stage, world, 100 + 24 * 25)
  const early = stage.taken.slice(0, 100)
  // Whatever was decided to be kept: in this world all.
  expect(early.every((worth) => Math.abs(worth) < 1)).toBe(true)
  const rounds = Array.from({ length: 24 }, (_, turn) => stage.taken.slice(100 + 25 * turn, 125 + 25 * turn))
  for (const round of rounds.filter(([worth]) => Math.abs(worth!) === 1)) expect(new Set(round).size).toBe(1)
  expect(rounds.filter(([worth]) => Math.abs(worth!) === 1).length).toBeGreaterThan(2)
})

test('what the closed form moves meanwhile is no gain of steps', async () => {
  const measured = async (moves: boolean) => {
    const world = new World()
    const opened = open()
    const stage = new OneNumber(world)
    for (let i = 0; i < 40 * 25; i++) {
      await train(opened.turns, stage, world, 1)
      if (!moves) continue
      stage.value += 0.05
      opened.turns.moved(new Map([['value', Float32Array.of(0.05)]]))
    }
    return opened.metrics.ruleGain.value({ rule: peaked })!
  }
  const [still, moved] = [await measured(false), await measured(true)]
  expect(Math.abs(moved - still)).toBeLessThan(0.1 * still)
})

test('a process that continues ends the turn, and takes the identical next ones', async () => {
  const world = new World()
  const before = open()
  const stage = new OneNumber(world)
  // In the middle of a turn.
  await train(before.turns, stage, world, 100 + 6 * 25 + 11)
  const { facts, tensors } = before.turns.state
  const saved = { facts: JSON.parse(JSON.stringify(facts)) as typeof facts, tensors }
  const after = open(saved)
  const next = Object.assign(new OneNumber(world), { steps: stage.steps, value: stage.value })
  for (const place of before.turns.places) after.turns.restore(world.sent[place.offset]!, place.uses)
  const fresh = Array.from({ length: 60 }, () => world.windows(8))
  for (const [turns, one] of [
    [before.turns, stage],
    [after.turns, next],
  ] as const) {
    for (const windowsOfStep of fresh) {
      for (const window of windowsOfStep) turns.offer(window)
      await turns.take(one, judgeOf(one.steps))
    }
  }
  expect(next.taken).toEqual(stage.taken.slice(-60))
  expect(after.turns.state.facts).toEqual(before.turns.state.facts)
})

/** One window after another, each used up before the next one comes. */
async function trickle(turns: GradientTurns, stage: OneNumber, windows: readonly AcceptedRecord[]): Promise<void> {
  for (const window of windows) {
    turns.offer(window)
    while ((await turns.take(stage, judgeOf(stage.steps))).isTaken);
  }
}

test('where windows are used up as they come, turns wait for those of their rule', async () => {
  const world = new World()
  const opened = open()
  const stage = new OneNumber(world)
  await trickle(opened.turns, stage, world.windows(600))
  expect(turnsBy(opened, flat) + turnsBy(opened, peaked) + turnsBy(opened, 'random')).toBeGreaterThan(8)
})

test('a rule whose windows do not come any more is given up for one that has enough', async () => {
  const world = new World()
  const opened = open()
  const stage = new OneNumber(world)
  await train(opened.turns, stage, world, 100)
  const { turns } = opened
  while (turns.state.facts.trials!.turn === undefined) await train(turns, stage, world, 1)
  const { arm } = turns.state.facts.trials!.turn
  while ((await turns.take(stage, judgeOf(1))).isTaken && turns.state.facts.trials!.turn?.arm === arm);
  const steps = stage.steps
  for (const window of world.windows(200, { keptBy: ['flatness(keep=0.5,stratified)'], policy: flat }))
    turns.offer(window)
  for (let i = 0; i < 30; i++) await turns.take(stage, judgeOf(i))
  expect(stage.steps).toBe(steps + 30)
})

test('of a forgotten tenant nothing is known of the rules either; of others all is kept', async () => {
  const world = new World()
  const opened = open()
  const stage = new OneNumber(world)
  for (let step = 0; step < 100 + 10 * 25; step++) {
    for (const window of world.windows(8, { tenant: 'them' })) opened.turns.offer(window)
    await opened.turns.take(stage, judgeOf(step))
  }
  const known = opened.turns.state.facts.trials!.bandit
  opened.turns.forget('nobody', () => false)
  expect(opened.turns.state.facts.trials!.bandit).toEqual(known)
  opened.turns.forget('them', ({ tenant }) => tenant === 'them')
  expect(opened.turns.state.facts.trials).toMatchObject({ tenants: [], turn: undefined })
  expect(opened.said.at(-1)).toMatchObject({ gain: undefined, rule: { strategy: 'none' } })
})

test('a draft that begins again ends its turn without a word', async () => {
  const world = new World()
  const opened = open()
  const stage = new OneNumber(world)
  await train(opened.turns, stage, world, 100 + 3 * 25 + 10)
  const said = opened.said.length
  opened.turns.restarted([])
  expect(opened.turns.state.facts.trials!.turn).toBeUndefined()
  expect(opened.turns.state.tensors.size).toBe(0)
  expect(opened.said).toHaveLength(said)
})

test('a state of before that names tenants is read: the weights have learned from them', () => {
  const { state } = open().turns
  const { tenantDigests: _, ...facts } = state.facts
  const { turns } = open({ ...state, facts: { ...facts, tenants: ['us', 'them'] } })
  expect(turns.tenants).toEqual(['us', 'them'].map(tenantDigest).toSorted())
  expect(turns.forget('them', () => true)).toBe(true)
  expect(turns.forget('nobody', () => true)).toBe(false)
})
