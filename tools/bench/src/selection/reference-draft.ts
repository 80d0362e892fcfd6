/** What draft-aware strategies ask of a draft, without one of the arms' own: a closed form of earlier responses. */
import type { FeatureHead } from '@plateau/causal-lm'
import { withParameters } from '@plateau/causal-lm'
import type { DraftTargetModel } from '@plateau/model-files'
import { ClosedFormSolver } from './closed-form-solver.js'
import { calibrate } from './evaluate.js'
import type { SelectionWindow } from './selection-window.js'

interface Windows {
  readonly target: DraftTargetModel
  readonly vocabulary: Int32Array | undefined
  /** What the draft is made of. */
  readonly past: readonly SelectionWindow[]
  readonly training: readonly SelectionWindow[]
  readonly calibration: readonly SelectionWindow[]
  readonly heldOut: readonly SelectionWindow[]
}

/** The draft, at the logit scale that fits the calibration windows, and all windows but the past with its signals. */
export async function withReferenceDraft(
  { past, training, calibration, heldOut, ...target }: Windows,
  { threads, say }: { readonly threads: number; readonly say: (line: string) => void },
): Promise<{ reference: FeatureHead } & Pick<Windows, 'training' | 'calibration' | 'heldOut'>> {
  say('the reference draft')
  const solver = await ClosedFormSolver.open({ ...target, threads })
  try {
    const sums = solver.empty()
    for (const { rows } of past) await solver.add(sums, rows)
    const solved = await solver.solve(sums)
    const scale = await calibrate(solver.scoreOf(solved), calibration)
    const reference = withParameters(solved, { logit_scale: Float32Array.of(scale) })
    const signalled = (windows: readonly SelectionWindow[]) => withSignals(solver, reference, windows)
    return {
      reference,
      training: await signalled(training),
      calibration: await signalled(calibration),
      heldOut: await signalled(heldOut),
    }
  } finally {
    await solver.release()
  }
}

async function withSignals(
  { scorer }: ClosedFormSolver,
  reference: FeatureHead,
  windows: readonly SelectionWindow[],
): Promise<SelectionWindow[]> {
  const rows = windows.map((window) => window.rows)
  const signals = await scorer.signals(reference, rows)
  let from = 0
  return windows.map((window) => {
    const to = from + window.rows.length
    const own = (values: ArrayLike<number>) => Float32Array.from(Array.prototype.slice.call(values, from, to))
    const statistics = {
      ...window.statistics,
      draftOverlap: own(signals.overlap),
      draftGain: own(signals.gain),
      draftEntropy: own(signals.entropy),
    }
    from = to
    return { ...window, statistics }
  })
}
