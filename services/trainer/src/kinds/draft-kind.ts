/**
 * What a kind of draft brings to the trainer. Common to all kinds are the intake, what is held back, the contest, the
 * versions and their announcements, the snapshot and the loop; a kind knows its model, how that learns and is scored, and
 * its part of the snapshot. Another kind is a folder beside these two and a line in draft-kinds.ts.
 */
import type { StoredFile } from '@plateau/checkpoints'
import { PlateauError } from '@plateau/contracts'
import type { DraftRows, DraftScores, WindowExpectations } from '@plateau/inference'
import type { Tensor } from '@plateau/model-files'
import type { Logger } from '@plateau/telemetry'
import type { ComparedWindows } from '../held-back.js'
import type { TrainerMetrics } from '../metrics.js'
import type { PolicySink } from '../policy/policy-parts.js'
import type { AcceptedRecord } from '../training-record.js'
import type { LearnedFrom } from './learned-from.js'
import type { MemoryBounds } from './memory.js'
import type { ReplayedPlace } from './replay.js'

/** `Model`: one draft in memory. It is never changed: learning makes new ones. */
export interface DraftKind<Model> {
  /** As manifests and announcements say it. */
  readonly name: string
  /** What a window must be for this kind to learn from it. */
  readonly expected: WindowExpectations
  /** A draft that has learned nothing: version 1 of a lineage that is not begun warm. */
  initial(this: void): Model
  /** Of `initial`: a draft that was trained before may be what a lineage begins with. */
  readonly initialFrom: LearnedFrom
  /** The files of a version. */
  encode(this: void, model: Model): readonly StoredFile[]
  /** The reverse, from files whose digests were checked. `where` names them in errors. Throws DRAFT_INVALID. */
  decode(this: void, files: ReadonlyMap<string, Uint8Array>, where: string): Model
  /** Of a position in a window that is held in memory. */
  readonly positionBytes: number
  /** Alpha that the model must earn more than the plainest of its kind, because it takes longer to draft with. */
  costOf(model: Model): number
  /** Begins to learn. `saved`: as a learner of this kind said it. Throws TRAINER_STATE_MISMATCH, TRAINER_STATE_INVALID. */
  open(start: LearnerStart<Model>): Promise<Learner<Model>>
}

export interface LearnerStart<Model> {
  readonly lineage: string
  /** The newest version. */
  readonly incumbent: Model
  readonly incumbentFrom: LearnedFrom
  /** What the lineage began with. */
  readonly first: () => Promise<LearnedModel<Model>>
  readonly saved: LearnerState | undefined
  /** What the trainers have saved whose sums are to be merged. */
  readonly others: () => Promise<readonly OtherLearner[]>
  /** Tenants that nothing may be taken from, whoever has it. */
  readonly forgotten: () => Iterable<string>
  /** Where to say what is learned about selection; undefined: it is not to be learned. */
  readonly policy: PolicySink | undefined
  readonly logger: Logger
  readonly metrics: TrainerMetrics
  /** Milliseconds since 1970. */
  readonly clock: () => number
}

export interface OtherLearner {
  readonly lineage: string
  readonly state: LearnerState
}

/** What a kind needs to continue exactly here, but for the windows themselves: those are found again by their places. */
export interface LearnerState {
  /** As JSON. */
  readonly facts: unknown
  readonly tensors: ReadonlyMap<string, Tensor>
  readonly replay: readonly ReplayedPlace[]
}

/** A draft, and whose windows are in it. */
export interface LearnedModel<Model> extends LearnedFrom {
  readonly model: Model
}

export interface Candidate<Model> extends LearnedModel<Model> {
  readonly name: string
}

/** Positions of the lineage that learning has used, each counted once. */
export interface LearnedPositions {
  /** In the sums of the closed form; 0 where there is none. */
  readonly closedForm: number
  /** By gradients. */
  readonly gradients: number
}

/**
 * Work comes in two sorts: a refresh, which goes before windows that have arrived and moves what everything else stands
 * on (a solution, a vocabulary), and steps, which take time that nothing else needs.
 */
export interface Learner<Model> {
  /** Trained on from now on. */
  admit(window: AcceptedRecord): Promise<void>
  /** Puts a window back into the replay that was trained on in an earlier life of this process. */
  restore(window: AcceptedRecord, place: ReplayedPlace): void

  refreshIsDue(): boolean
  /** True when there is something new to compare. `calibration`: windows that nothing but a single number is fitted on. */
  refresh(calibration: readonly DraftRows[]): Promise<boolean>
  /** Told when everything is done that a refresh sets off: the next one waits in proportion. */
  refreshed(tookMs: number): void

  /** When a step may be taken; infinite when there is nothing to do. */
  readonly nextStepMs: number
  /** `windows`: what the steps so far are judged by, where that is due. */
  step(windows: ComparedWindows): Promise<StepOutcome>

  /** What may become a version, plainest first; where two are worth the same, the first is taken. */
  candidates(calibration: readonly DraftRows[]): Promise<readonly Candidate<Model>[]>
  /** What the contest found for them, by name: one that has gone astray may begin again. */
  judged(alpha: ReadonlyMap<string, number>): void
  /** One entry per row, window after window. */
  score(model: Model, windows: readonly DraftRows[]): Promise<DraftScores>

  /** Undefined: nothing of the sort is learned. */
  readonly selection?: SelectionLearning | undefined

  /**
   * True when what was learned so far held something of the tenant: the learner has begun again without it, and the best
   * of `foundations` is to replace what is live.
   */
  forget(request: ForgetRequest): Promise<boolean>
  /** What stands without a gradient step: the newest solution, say, and what the lineage began with. At least one. */
  foundations(): Promise<readonly LearnedModel<Model>[]>

  readonly positions: LearnedPositions
  readonly memory: MemoryBounds
  /** Live memory: encode it before anything else is asked of the learner. */
  state(): Promise<LearnerState>
  release(): Promise<void>
}

/** Learns what the scorer should weigh positions by, in pieces of work in a small share of the time. */
export interface SelectionLearning {
  /** There is a piece of work to do. */
  isDue(): boolean
  /** Does it. What a policy is chosen by are the windows of its first piece. */
  learn(windows: ComparedWindows): Promise<void>
}

export interface ForgetRequest {
  readonly tenant: string
  /** Windows of the tenant that may not be used again. */
  readonly isForgotten: (window: AcceptedRecord) => boolean
  /** What is left of it. */
  readonly calibration: readonly DraftRows[]
}

export interface StepOutcome {
  /** False when there was nothing left to learn from. */
  readonly isTaken: boolean
  /** The candidates have changed enough to be compared. */
  readonly isForContest: boolean
}

/** The model as it is read from the store: stored numbers are shorter. Throws DRAFT_INVALID when one is too large for that. */
export function asPublished<Model>(
  { encode, decode }: Pick<DraftKind<Model>, 'encode' | 'decode'>,
  model: Model,
): Model {
  return decode(new Map(encode(model).map(({ path, bytes }) => [path, bytes])), 'a draft to be stored')
}

export function stateMismatch(lineage: string, facts: Readonly<Record<string, string | number>>): PlateauError {
  return new PlateauError(
    'TRAINER_STATE_MISMATCH',
    `the saved state of lineage ${lineage} belongs to another target or draft: set PLATEAU_LINEAGE to a new name`,
    { facts: { lineage, ...facts } },
  )
}

export function stateInvalid(where: string, cause: unknown): PlateauError {
  return new PlateauError('TRAINER_STATE_INVALID', `${where} is not a trainer's state: ${String(cause)}`, {
    facts: { where },
    cause,
  })
}

/** What `decode` makes of a saved state; what goes wrong there is TRAINER_STATE_INVALID, with `where` in its sentence. */
export function decodedState<State>(decode: (saved: LearnerState) => State, saved: LearnerState, where: string): State {
  try {
    return decode(saved)
  } catch (cause) {
    throw stateInvalid(where, cause)
  }
}
