/** Which arms the two experiments that train step by step have, the most telling first. */
import type { DraftLoss } from '@plateau/causal-lm'
import type { ArmName } from './arm-result.js'
import type { DatasetName } from './dataset.js'

export type SteppedArm = Required<Pick<ArmName, 'selector' | 'unit' | 'keep' | 'seed' | 'matched'>> & {
  readonly loss: DraftLoss
}

/** A selector of the list, of whole samples unless it says otherwise. */
interface Cell {
  readonly selector: string
  readonly unit?: ArmName['unit']
}

const HALF = 0.5
const PAPER_LOSS = 'kl'

const full: Cell = { selector: 'full' }
const random: Cell = { selector: 'random' }
const flatness: Cell = { selector: 'flatness' }
const leastFlat: Cell = { selector: 'least-flat' }
const draftGain: Cell = { selector: 'draft-gain' }
const learned: Cell = { selector: 'learned' }
const tokens: readonly Cell[] = [random, flatness, leastFlat].map((cell) => ({ ...cell, unit: 'token' }))
const epochs = { matched: 'epochs' } as const
const stratified: readonly Cell[] = ['flatness', 'least-flat', 'learned'].map((name) => ({
  selector: `stratified-${name}`,
}))
const otherLosses: readonly DraftLoss[] = ['tv', 'lk-hybrid']
const core = [random, flatness, leastFlat, full, learned]

export const gradientArms: Readonly<Record<DatasetName, readonly SteppedArm[]>> = {
  demo: [
    ...arms(core, seeds(3)),
    ...arms(stratified, seeds(2)),
    ...arms([full], [1], epochs),
    ...arms([draftGain, ...tokens], seeds(2)),
    ...arms([...stratified, draftGain, ...tokens], [3]),
    ...arms(core, [4, 5]),
    ...seeds(2).flatMap((seed) => otherLosses.flatMap((loss) => arms(core, [seed], { loss }))),
    ...arms([full], [2, 3], epochs),
    ...arms([...stratified, draftGain, ...tokens], [4, 5]),
    ...arms([{ selector: 'entropy' }, { selector: 'draft-gap' }], seeds(3)),
    ...[0.2, 0.05, 0.1, 0.3, 0.7].flatMap((keep) =>
      arms([random, flatness, leastFlat, draftGain, learned], seeds(2), { keep }),
    ),
  ],
  smollm2: [
    ...arms(core, seeds(3)),
    ...arms(stratified, seeds(2)),
    ...arms([full], [1], epochs),
    ...arms([draftGain, ...tokens, ...stratified], [3]),
    ...arms([draftGain, ...tokens], seeds(2)),
    ...arms([full], [2, 3], epochs),
    ...arms(core, [4, 5]),
  ],
}

/** Trained five times as long: does the order of the selectors turn around? */
export const lateArms: readonly SteppedArm[] = [...arms(core, seeds(3)), ...arms(stratified, seeds(2))]

export const causalLmArms: Readonly<Record<DatasetName, readonly SteppedArm[]>> = {
  demo: [
    ...arms([...core, draftGain], seeds(2)),
    ...arms([full], seeds(2), epochs),
    ...arms([...core, draftGain], [3, 4, 5]),
    ...arms(stratified, seeds(3)),
    ...arms([full], [3], epochs),
  ],
  smollm2: [],
}

/** Seed by seed, so that what is there when a run is killed is as even as it can be. */
function arms(
  cells: readonly Cell[],
  ofSeeds: readonly number[],
  { loss = PAPER_LOSS, keep = HALF, matched = 'steps' }: Partial<Pick<SteppedArm, 'loss' | 'keep' | 'matched'>> = {},
): SteppedArm[] {
  return ofSeeds.flatMap((seed) =>
    cells.map(({ selector, unit = 'sample' }) => {
      return { selector, unit, keep: selector === 'full' ? 1 : keep, seed, matched, loss }
    }),
  )
}

function seeds(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i + 1)
}
