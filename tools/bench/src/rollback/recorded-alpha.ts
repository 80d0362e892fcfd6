/** What drafts are worth on recorded windows that none of them was trained on. */
import type { FeatureHead } from '@plateau/causal-lm'
import { Arm, topics, TrainingWindow, type TokenWindow } from '@plateau/contracts'
import { readUpToNow, type EventLog } from '@plateau/event-log'
import { alphaByWindow, evaluateDraft, type EvaluationTarget } from '@plateau/inference'
import type { PairedResponse } from '@plateau/rollout'

/** Of the evaluation arm, all there are. */
export async function recordedWindows(log: EventLog): Promise<TokenWindow[]> {
  const windows: TokenWindow[] = []
  for await (const { records } of readUpToNow(log.reader({ topic: topics.trainingWindows.name, from: 'earliest' }))) {
    for (const { value } of records) {
      if (value === null) continue
      const { arm, window } = TrainingWindow.decode(value)
      if (arm === Arm.ARM_EVALUATION && window !== undefined) windows.push(window)
    }
  }
  return windows
}

export class RecordedAlpha {
  constructor(
    private readonly target: EvaluationTarget,
    private readonly windows: readonly TokenWindow[],
  ) {}

  /** Positions, of one domain or of all. */
  positions(domain?: string): number {
    return this.#of(domain).reduce((sum, { tokenIds }) => sum + tokenIds.length, 0)
  }

  /** Mean alpha, where something was recorded. */
  async of(head: FeatureHead, domain?: string): Promise<number> {
    return (await evaluateDraft(head, this.target, this.#of(domain))).alpha
  }

  /** Alpha of both at every position, window by window. */
  async pairs(ours: FeatureHead, theirs: FeatureHead, domain?: string): Promise<PairedResponse[]> {
    const windows = this.#of(domain)
    const own = await alphaByWindow(ours, this.target, windows)
    const other = await alphaByWindow(theirs, this.target, windows)
    return own.map((alphas, i) => Array.from(alphas, (alpha, at) => [alpha, other[i]![at]!] as const))
  }

  #of(domain: string | undefined): readonly TokenWindow[] {
    return domain === undefined ? this.windows : this.windows.filter((window) => window.domain === domain)
  }
}
