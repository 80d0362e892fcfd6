import type { DraftLoss } from '@plateau/causal-lm'
import { cosineDecay } from '@plateau/training'
import type { CurvePoint } from '../arm-result.js'
import { CpuMeter, type CpuSeconds } from '../cpu-clock.js'
import type { SteppedDraft } from './draft-kind.js'
import type { PieceSource } from './piece-source.js'

export interface ArmRun {
  readonly steps: number
  readonly loss: DraftLoss
  /** At its peak. */
  readonly learningRate: number
  /** Of the draft before its first step. */
  readonly seed: number
  readonly selectedRows?: number | undefined
}

export interface TrainedArm<Model> {
  readonly model: Model
  /** That counted, over all steps. */
  readonly usedPositions: number
  readonly cpuSeconds: { readonly selection: number; readonly training: number }
  readonly curve: readonly CurvePoint[]
}

export interface ArmWatch<Model> {
  /** Held-out alpha on the way; its time is nobody's. */
  alpha(model: Model): Promise<number>
  readonly cpu: CpuSeconds
}

const CURVE_POINTS = 12
/** Denser at the beginning, where alpha moves. */
const CURVE_POWER = 1.5
const WARM_UP_STEPS = 60
/** Of a short run. */
const WARM_UP_SHARE = 0.2
/** The learning rate ends at this share of its peak. */
const FLOOR = 0.05

/** The schedule is scaled to the run's own steps: every arm ends annealed, however many it has. */
export async function trainArm<Model>(
  draft: SteppedDraft<Model>,
  source: PieceSource<Model>,
  run: ArmRun,
  watch: ArmWatch<Model>,
): Promise<TrainedArm<Model>> {
  const { steps, loss, learningRate, selectedRows } = run
  const trainer = await draft.open(draft.start(run.seed), {
    loss,
    learningRate,
    selectedRows,
    warmUpSteps: Math.min(WARM_UP_STEPS, Math.ceil(WARM_UP_SHARE * steps)),
    decay: (done) => cosineDecay(done / steps, FLOOR),
  })
  const meter = new CpuMeter<'selection' | 'training'>(watch.cpu)
  const spent = () => ({ selection: meter.spentOn('selection'), training: meter.spentOn('training') })
  const curve: CurvePoint[] = []
  const places = new Set(curvePlaces(steps))
  let usedPositions = 0
  for (let step = 0; ; step++) {
    if (places.has(step)) {
      const { selection, training } = spent()
      const cpuSeconds = selection + training
      curve.push({ steps: step, positions: usedPositions, cpuSeconds, alpha: await watch.alpha(trainer.model) })
    }
    if (step === steps) break
    await meter.spend('selection', () => source.before?.(step, () => trainer.model))
    usedPositions += await meter.spend('training', async () => (await trainer.step(source.pieces())).positions)
  }
  return { model: trainer.model, usedPositions, cpuSeconds: spent(), curve }
}

/** Steps after which alpha is looked at, the start and the end among them. */
export function curvePlaces(steps: number): number[] {
  const places = Array.from({ length: CURVE_POINTS + 1 }, (_, i) =>
    Math.round(steps * (i / CURVE_POINTS) ** CURVE_POWER),
  )
  return [...new Set(places)]
}
