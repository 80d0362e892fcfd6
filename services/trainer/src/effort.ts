import type { Logger } from '@plateau/telemetry'
import type { LearnedPositions } from './kinds/draft-kind.js'
import type { TrainerMetrics } from './metrics.js'

/** What the loop's time goes into. */
export type Work = 'admit' | 'refresh' | 'learn' | 'step' | 'contest' | 'save'

export interface EffortParts {
  readonly metrics: Pick<TrainerMetrics, 'busySeconds' | 'utilisation' | 'stepPositions' | 'loss' | 'gradientNorm'>
  readonly logger: Logger
  readonly clock: () => number
}

const REPORT_MS = 60_000

/** How much of the time the trainer works, and what comes of it; once a minute in the log, too. */
export class Effort {
  readonly #parts: EffortParts
  #busyMs = 0
  #sinceMs: number
  #closedForm: number
  #steps = 0

  /** `learned`: before this process. */
  constructor(parts: EffortParts, learned: LearnedPositions) {
    this.#parts = parts
    this.#sinceMs = parts.clock()
    this.#closedForm = learned.closedForm
  }

  async spend<T>(work: Work, action: () => Promise<T>): Promise<T> {
    const { clock, metrics } = this.#parts
    const startedMs = clock()
    try {
      return await action()
    } finally {
      const tookMs = clock() - startedMs
      this.#busyMs += tookMs
      metrics.busySeconds.add({ work }, tookMs / 1000)
    }
  }

  report({ closedForm }: LearnedPositions): void {
    const { clock, logger, metrics } = this.#parts
    const passedMs = clock() - this.#sinceMs
    if (passedMs < REPORT_MS) return
    const steps = metrics.stepPositions.value({})
    const utilisation = this.#busyMs / passedMs
    metrics.utilisation.set({}, utilisation)
    logger.info('training', {
      closedFormPositionsPerSecond: rounded((1000 * (closedForm - this.#closedForm)) / passedMs),
      stepPositionsPerSecond: rounded((1000 * (steps - this.#steps)) / passedMs),
      utilisation: rounded(utilisation),
      ...(steps > this.#steps && { loss: metrics.loss.value({}), gradientNorm: metrics.gradientNorm.value({}) }),
    })
    this.#closedForm = closedForm
    this.#steps = steps
    this.#sinceMs = clock()
    this.#busyMs = 0
  }
}

function rounded(value: number): number {
  return Number(value.toPrecision(3))
}
